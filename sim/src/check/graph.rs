//! What must come before what, each with its reason; a circle cannot be.

use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Graph {
    names: Vec<String>,
    edges: Vec<BTreeMap<usize, String>>,
}

impl Graph {
    pub(crate) fn node(&mut self, name: String) -> usize {
        self.names.push(name);
        self.edges.push(BTreeMap::new());
        self.names.len() - 1
    }

    pub(crate) fn edge(&mut self, from: usize, to: usize, why: impl FnOnce() -> String) {
        if from != to {
            self.edges[from].entry(to).or_insert_with(why);
        }
    }

    /// A circle, as text.
    pub(crate) fn circle(&self) -> Option<String> {
        let mut seen = vec![0_u8; self.names.len()];
        for start in 0..self.names.len() {
            if let Some(circle) = self.circle_from(start, &mut seen) {
                let next = |index: usize| circle[(index + 1) % circle.len()];
                let text = circle
                    .iter()
                    .enumerate()
                    .map(|(index, node)| format!("\n  {} --{}-->", self.names[*node], self.edges[*node][&next(index)]));
                return Some(text.collect());
            }
        }
        None
    }

    fn circle_from(&self, start: usize, seen: &mut [u8]) -> Option<Vec<usize>> {
        if seen[start] != 0 {
            return None;
        }
        let mut path = vec![(start, self.edges[start].keys())];
        seen[start] = 1;
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            match next.next() {
                None => {
                    seen[node] = 2;
                    path.pop();
                }
                Some(&to) if seen[to] == 0 => {
                    seen[to] = 1;
                    path.push((to, self.edges[to].keys()));
                }
                Some(&to) if seen[to] == 1 => {
                    let nodes: Vec<usize> = path.iter().map(|(node, _)| *node).collect();
                    let from = nodes.iter().position(|node| *node == to)?;
                    return Some(nodes[from..].to_vec());
                }
                Some(_) => {}
            }
        }
        None
    }
}
