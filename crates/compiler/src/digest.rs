//! What identifies a module as it runs: its own digest and those of all modules that it imports, however far. Modules
//! that import each other in a circle are one component; components are digested once, those they import first.

use crate::hir::{Module, TokenClass};

/// Digest of a text's tokens, so that comments do not count.
pub(crate) fn of_tokens(tree: &Module, text: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for token in &tree.tokens {
        match token.class {
            TokenClass::Newline => hasher.update(b"\x01"),
            TokenClass::Indent => hasher.update(b"\x02"),
            TokenClass::Dedent => hasher.update(b"\x03"),
            TokenClass::Text => hasher.update(b"\0").update(token.span.text(text).as_bytes()),
        };
    }
    *hasher.finalize().as_bytes()
}

/// The digest of each module, given its own and what it imports.
pub(crate) fn with_imports<'a>(own: &[[u8; 32]], imports: impl Fn(usize) -> &'a [usize]) -> Vec<u64> {
    let components = components(own.len(), &imports);
    let mut of = vec![0; own.len()];
    let mut whole: Vec<[u8; 32]> = Vec::new();
    for component in &components {
        component.iter().for_each(|node| of[*node] = whole.len());
        let mut inside: Vec<&[u8; 32]> = component.iter().map(|node| &own[*node]).collect();
        inside.sort_unstable();
        let reached = component.iter().flat_map(|node| imports(*node)).map(|node| of[*node]);
        let mut outside: Vec<&[u8; 32]> = reached.filter(|c| *c != whole.len()).map(|c| &whole[c]).collect();
        outside.sort_unstable();
        outside.dedup();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(inside.len() as u64).to_be_bytes());
        inside.into_iter().chain(outside).for_each(|digest| _ = hasher.update(digest));
        whole.push(*hasher.finalize().as_bytes());
    }
    let digest = |node: usize| {
        let mut bytes = [0; 8];
        let hash = *blake3::Hasher::new().update(&own[node]).update(&whole[of[node]]).finalize().as_bytes();
        bytes.copy_from_slice(&hash[..8]);
        u64::from_be_bytes(bytes)
    };
    (0..own.len()).map(digest).collect()
}

/// A node on the way of Tarjan's search.
#[derive(Clone, Copy, Default)]
struct Node {
    /// Number in the order of visits, from 1; 0 if it was not visited.
    number: usize,
    /// The lowest number on the stack that is reached from it.
    low: usize,
    on_stack: bool,
}

/// The strongly connected components of a graph, each after those that it reaches (Tarjan, without recursion).
fn components<'a>(count: usize, edges: &impl Fn(usize) -> &'a [usize]) -> Vec<Vec<usize>> {
    let mut nodes = vec![Node::default(); count];
    let (mut stack, mut found, mut visited) = (Vec::new(), Vec::new(), 0);
    for first in 0..count {
        let mut open: Vec<(usize, usize)> = Vec::new();
        if nodes[first].number == 0 {
            open.push((first, 0));
        }
        while let Some((node, next)) = open.last_mut() {
            let node = *node;
            if *next == 0 {
                visited += 1;
                nodes[node] = Node { number: visited, low: visited, on_stack: true };
                stack.push(node);
            }
            let edge = edges(node).get(*next).copied();
            *next += 1;
            match edge {
                Some(to) if nodes[to].number == 0 => open.push((to, 0)),
                Some(to) if nodes[to].on_stack => nodes[node].low = nodes[node].low.min(nodes[to].number),
                Some(_) => {}
                None => {
                    open.pop();
                    if let Some((caller, _)) = open.last() {
                        nodes[*caller].low = nodes[*caller].low.min(nodes[node].low);
                    }
                    if nodes[node].low == nodes[node].number {
                        let at = stack.iter().rposition(|n| *n == node).unwrap_or(0);
                        let component = stack.split_off(at);
                        component.iter().for_each(|n| nodes[*n].on_stack = false);
                        found.push(component);
                    }
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAPH: [&[usize]; 6] = [&[1], &[2, 3], &[1], &[4], &[], &[0]];

    fn digests(changed: Option<usize>) -> Vec<u64> {
        let own: Vec<[u8; 32]> = (0..6).map(|i| [if changed == Some(i) { 99 } else { i as u8 }; 32]).collect();
        with_imports(&own, |node| GRAPH[node])
    }

    #[test]
    fn circles_are_one_component_and_come_after_what_they_reach() {
        let sorted = |mut c: Vec<usize>| {
            c.sort_unstable();
            c
        };
        let found: Vec<Vec<usize>> = components(6, &|node| GRAPH[node]).into_iter().map(sorted).collect();
        assert_eq!(found, [vec![4], vec![3], vec![1, 2], vec![0], vec![5]]);
    }

    #[test]
    fn a_change_changes_exactly_what_reaches_it() {
        let before = digests(None);
        let reaches =
            [vec![0, 5], vec![0, 1, 2, 5], vec![0, 1, 2, 5], vec![0, 1, 2, 3, 5], vec![0, 1, 2, 3, 4, 5], vec![5]];
        for (changed, reaching) in reaches.iter().enumerate() {
            let after = digests(Some(changed));
            let differ: Vec<usize> = (0..6).filter(|node| before[*node] != after[*node]).collect();
            assert_eq!(&differ, reaching, "after a change of {changed}");
        }
    }

    #[test]
    fn long_chains_need_no_stack() {
        let edges: Vec<Vec<usize>> = (0..200_000).map(|i| if i + 1 < 200_000 { vec![i + 1] } else { vec![] }).collect();
        assert_eq!(components(edges.len(), &|node| edges[node].as_slice()).len(), edges.len());
    }
}
