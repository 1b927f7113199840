//! The `sostenuto` Python package, embedded in the binary, and the directory from which workers load it.
//!
//! Beside the sources lies their bytecode for the interpreters that were there when the binary was built. CPython looks for it
//! by its version, and takes it without a look at the sources; both are written anew by each start.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::entropy::Entropy;
use crate::error::StartError;

/// Path below the package's parent, and content, in order.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/package.rs"));

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
        let root = dir.package_root();
        for (folder, files) in folders() {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).map_err(StartError::io("creating", &folder))?;
            for (name, content) in files {
                let file = folder.join(name);
                fs::write(&file, content).map_err(StartError::io("writing", &file))?;
            }
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

/// Names and contents of the files of each folder.
fn folders() -> BTreeMap<&'static Path, Vec<(&'static OsStr, &'static [u8])>> {
    let mut folders = BTreeMap::<_, Vec<_>>::new();
    for (path, content) in FILES {
        let path = Path::new(path);
        let (folder, name) = path.parent().zip(path.file_name()).expect("each file is in a folder");
        folders.entry(folder).or_default().push((name, *content));
    }
    folders
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
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_temporary_directory_comes_and_goes() {
        let dir = WorkerDir::create(None).unwrap();
        let path = dir.path.clone();
        assert!(FILES.iter().all(|(name, _)| dir.package_root().join(name).is_file()));
        drop(dir);
        assert!(!path.exists());
    }

    /// Whether `python3` loads the package from there.
    fn loads(dir: &WorkerDir) -> bool {
        let mut command = Command::new("python3");
        command.args(["-c", "import sostenuto.worker.template, sostenuto.worker.tasks, sostenuto.memory"]);
        command
            .env("PYTHONPATH", dir.package_root())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("PYTHONPYCACHEPREFIX");
        command.current_dir(&dir.path).stderr(Stdio::null()).status().unwrap().success()
    }

    fn overwrite(dir: &WorkerDir, ending: &str, content: &str) {
        for (name, _) in FILES.iter().filter(|(name, _)| name.ends_with(ending)) {
            fs::write(dir.package_root().join(name), content).unwrap();
        }
    }

    #[test]
    fn nothing_is_compiled_by_the_interpreter_of_the_build() {
        let dir = WorkerDir::create(None).unwrap();
        overwrite(&dir, ".py", "not Python");
        assert!(loads(&dir), "python3 is another version than when this crate was built: touch its build.rs");
    }

    #[test]
    fn bytecode_of_another_version_or_none_is_no_obstacle() {
        let dir = WorkerDir::create(None).unwrap();
        overwrite(&dir, ".pyc", "of another version");
        assert!(loads(&dir));
        for (name, _) in FILES.iter().filter(|(name, _)| name.ends_with(".pyc")) {
            fs::remove_file(dir.package_root().join(name)).unwrap();
        }
        assert!(loads(&dir));
        overwrite(&dir, ".py", "not Python");
        assert!(!loads(&dir));
    }
}
