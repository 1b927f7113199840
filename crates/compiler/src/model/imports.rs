//! Imports between the modules of an application: absolute names, and an order in which the modules can be loaded.

use super::{FileId, Model};
use crate::SourceFile;
use crate::hir::{ImportFrom, StmtKind};
use crate::walk::statements;

/// The absolute name of the module that a `from … import` names; `None` if it leaves the application's root.
pub(crate) fn absolute(source: &SourceFile, import: &ImportFrom) -> Option<String> {
    let name = import.module.as_ref().map(|m| m.name.as_str());
    if import.level == 0 {
        return name.map(str::to_owned);
    }
    let mut parts: Vec<&str> = source.module.split('.').collect();
    let up = import.level as usize - usize::from(source.package);
    if up > parts.len() {
        return None;
    }
    parts.truncate(parts.len() - up);
    parts.extend(name);
    Some(parts.join("."))
}

/// The modules, imported before importing where that is possible (a circle is cut at its first module).
pub(crate) fn load_order(model: &Model<'_>) -> Vec<FileId> {
    let mut order = Vec::new();
    let mut seen = vec![false; model.modules];
    for file in 0..model.modules {
        visit(model, file, &mut seen, &mut order);
    }
    order
}

/// Depth first, without recursion: chains of imports may be long.
fn visit(model: &Model<'_>, first: FileId, seen: &mut [bool], order: &mut Vec<FileId>) {
    if std::mem::replace(&mut seen[first], true) {
        return;
    }
    let mut open = vec![(first, 0)];
    while let Some((file, next)) = open.last_mut() {
        match model.imported(*file).get(*next) {
            Some(imported) => {
                *next += 1;
                if !std::mem::replace(&mut seen[*imported], true) {
                    open.push((*imported, 0));
                }
            }
            None => {
                order.push(*file);
                open.pop();
            }
        }
    }
}

/// What [`Model::imported`] gives.
pub(super) fn imported(model: &Model<'_>, file: FileId) -> Vec<FileId> {
    let info = &model.files[file];
    let mut names: Vec<String> = Vec::new();
    statements(&info.tree.body, &mut |stmt| match &stmt.kind {
        StmtKind::Import(aliases) => names.extend(aliases.iter().map(|a| a.name.name.clone())),
        StmtKind::ImportFrom(import) => {
            if let Some(module) = absolute(info.source, import) {
                names.extend(import.names.iter().map(|a| format!("{module}.{}", a.name.name)));
                names.push(module);
            }
        }
        _ => {}
    });
    let mut files = Vec::new();
    for name in names {
        let ends = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
        files.extend(ends.filter_map(|end| model.module(&name[..end])).filter(|f| *f != file));
    }
    files
}
