//! The text files of the checkout: those that git tracks or would track.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

/// What the rules look at.
pub(crate) struct Tree {
    /// Path from the root, with `/`, and content; files that are not text have none.
    pub(crate) files: Vec<(String, String)>,
}

impl Tree {
    /// Reads the checkout.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut paths = listed(root).map_or_else(|| walked(root, ""), Ok)?;
        paths.sort();
        paths.dedup();
        let mut files = Vec::new();
        for path in paths {
            // A path may be listed and deleted; bytes that are no text concern only the rules about paths.
            if let Ok(bytes) = fs::read(root.join(&path)) {
                files.push((path, String::from_utf8(bytes).unwrap_or_default()));
            }
        }
        Ok(Self { files })
    }

    /// Files whose path ends so.
    pub(crate) fn ending(&self, suffix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.ends_with(suffix))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The file with this path.
    pub(crate) fn file(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|(name, _)| name == path).map(|(_, text)| text.as_str())
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }
}

/// From git, if there is one.
fn listed(root: &Path) -> Option<Vec<String>> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(arguments).current_dir(root).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// By walking, in a checkout without git.
fn walked(root: &Path, under: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(under)).with_context(|| format!("listing {under:?}"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if under.is_empty() { name.clone() } else { format!("{under}/{name}") };
        if entry.file_type()?.is_dir() {
            if !["target", ".git", "__pycache__"].contains(&name.as_str()) {
                found.extend(walked(root, &path)?);
            }
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
