//! Whether arguments fit parameters. Used for calls between services, which Python itself would check only when the
//! call arrives.

use crate::hir::{Call, ExprKind, Param, ParamKind};

/// What does not fit, as a sentence; `None` if all is well or cannot be known. `params` are without `self`, `skip`
/// arguments at the front are not the callee's.
pub(super) fn mismatch(params: &[Param], call: &Call, skip: usize) -> Option<String> {
    let starred = call.args.iter().any(|a| matches!(a.kind, ExprKind::Starred(_)));
    let double = call.keywords.iter().any(|k| k.name.is_none());
    let given = call.args.len().saturating_sub(skip);
    let positional = params.iter().filter(|p| matches!(p.kind, ParamKind::Normal | ParamKind::PositionalOnly)).count();
    let takes_more = params.iter().any(|p| p.kind == ParamKind::VarPositional);
    if !starred && given > positional && !takes_more {
        return Some(format!("{} given, {positional} taken", counted(given)));
    }
    let names: Vec<&str> = call.keywords.iter().filter_map(|k| k.name.as_ref()).map(|n| n.name.as_str()).collect();
    for name in &names {
        let param = params
            .iter()
            .position(|p| p.name.name == *name && matches!(p.kind, ParamKind::Normal | ParamKind::KeywordOnly));
        match param {
            None if params.iter().any(|p| p.kind == ParamKind::VarKeyword) => {}
            None => return Some(format!("there is no parameter `{name}`")),
            Some(index) if index < given && params[index].kind == ParamKind::Normal && !starred => {
                return Some(format!("`{name}` is given twice"));
            }
            Some(_) => {}
        }
    }
    if starred || double {
        return None;
    }
    let missing = params.iter().enumerate().find(|(index, p)| match p.kind {
        ParamKind::Normal => p.default.is_none() && *index >= given && !names.contains(&p.name.name.as_str()),
        ParamKind::PositionalOnly => p.default.is_none() && *index >= given,
        ParamKind::KeywordOnly => p.default.is_none() && !names.contains(&p.name.name.as_str()),
        ParamKind::VarPositional | ParamKind::VarKeyword => false,
    });
    missing.map(|(_, p)| format!("`{}` is missing", p.name.name))
}

fn counted(count: usize) -> String {
    if count == 1 { "1 argument is".to_owned() } else { format!("{count} arguments are") }
}
