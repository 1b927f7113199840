//! The `sostenuto` Python package, embedded in the binary, and the directory from which workers load it.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::entropy::Entropy;
use crate::error::StartError;

/// Path below the package's parent, and content.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/package.rs"));

/// A directory with the package and the workers' strike files. A temporary one is removed in the end.
#[derive(Debug)]
pub(crate) struct WorkerDir {
    path: PathBuf,
    /// Where workers keep what they have compiled.
    code: PathBuf,
    temporary: bool,
}

impl WorkerDir {
    /// Fills `worker/` of the data directory, or a temporary directory if there is none.
    pub(crate) fn create(data_dir: Option<&Path>) -> Result<Self, StartError> {
        let temporary = data_dir.is_none();
        let path = match data_dir {
            Some(dir) => dir.join("worker"),
            None => temporary_path()?,
        };
        let path = std::path::absolute(&path).map_err(StartError::io("resolving", &path))?;
        if path.exists() {
            fs::remove_dir_all(&path).map_err(StartError::io("emptying", &path))?;
        }
        let code = match data_dir {
            Some(dir) => std::path::absolute(dir.join("code")).map_err(StartError::io("resolving", dir))?,
            None => path.join("code"),
        };
        let dir = Self { path, code, temporary };
        for (name, text) in FILES {
            let file = dir.package_root().join(name);
            let folder = file.parent().unwrap_or(&dir.path);
            fs::create_dir_all(folder).map_err(StartError::io("creating", folder))?;
            fs::write(&file, text).map_err(StartError::io("writing", &file))?;
        }
        let strikes = dir.path.join("strike");
        fs::create_dir_all(&strikes).map_err(StartError::io("creating", &strikes))?;
        // Workers run code from it, so nobody else may write there; they check that themselves.
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(&dir.code).map_err(StartError::io("creating", &dir.code))?;
        remove_leftovers(&dir.code).map_err(StartError::io("tidying", &dir.code))?;
        Ok(dir)
    }

    /// Where workers keep the code that they have compiled.
    pub(crate) fn code_folder(&self) -> PathBuf {
        self.code.clone()
    }

    /// What goes onto `PYTHONPATH`.
    pub(crate) fn package_root(&self) -> PathBuf {
        self.path.join("python")
    }

    pub(crate) fn strike_file(&self, kind: &str, worker: u64) -> PathBuf {
        self.path.join("strike").join(format!("{kind} {worker}"))
    }
}

impl Drop for WorkerDir {
    fn drop(&mut self) {
        if self.temporary {
            // Only room in a temporary directory is at stake.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes what workers of a killed server had begun to write.
fn remove_leftovers(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn temporary_path() -> Result<PathBuf, StartError> {
    let random = Entropy::open().and_then(|mut entropy| entropy.take::<8>());
    let number = u64::from_le_bytes(random.map_err(StartError::io("reading", "/dev/urandom"))?);
    Ok(std::env::temp_dir().join(format!("sostenuto-{number:016x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_directory_comes_and_goes() {
        let dir = WorkerDir::create(None).unwrap();
        let path = dir.path.clone();
        assert!(FILES.iter().all(|(name, _)| dir.package_root().join(name).is_file()));
        drop(dir);
        assert!(!path.exists());
    }
}
