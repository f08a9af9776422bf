//! Graphs from text.

use std::collections::HashMap;

use crate::{Graph, GraphError, Op, Value};

impl Graph {
    /// Reads what [`Graph::dump`] writes. Names of values may be any word after `%`; meanings and shapes are checked where they are given.
    pub fn parse(text: &str) -> Result<Self, GraphError> {
        let mut lines = text.lines().enumerate().map(|(i, l)| (i + 1, l.trim())).filter(|(_, l)| !l.is_empty());
        let (line, head) = lines.next().unwrap_or((1, ""));
        let batch = head.strip_prefix("graph batch=").and_then(|b| b.parse().ok()).filter(|&b| b > 0);
        let mut graph = Self::new(batch.ok_or_else(|| error(line, "expected `graph batch=N`"))?);
        let mut names = HashMap::new();
        for (line, text) in lines {
            parse_line(&mut graph, &mut names, text).map_err(|message| error(line, message))?;
        }
        Ok(graph)
    }
}

fn error(line: usize, message: impl Into<String>) -> GraphError {
    GraphError::Parse { line, message: message.into() }
}

fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(", ").map(str::trim).filter(|s| !s.is_empty())
}

fn parse_line<'t>(graph: &mut Graph, names: &mut HashMap<&'t str, Value>, text: &'t str) -> Result<(), String> {
    let lookup = |names: &HashMap<&str, Value>, name: &str| {
        names.get(name).copied().ok_or_else(|| format!("{name} is not defined"))
    };
    if let Some(output) = text.strip_prefix("output ") {
        let (name, value) = output.split_once(" = ").ok_or("expected `output NAME = %VALUE`")?;
        let value = lookup(names, value)?;
        graph.set_output(name, value);
        return Ok(());
    }
    let (results, rest) =
        if text.starts_with('%') { text.split_once(" = ").ok_or("expected ` = `")? } else { ("", text) };
    let (name, rest) = rest.split_once(' ').ok_or("expected an op")?;
    let open = attributes_end(rest).ok_or("expected attributes in braces")?;
    let (attributes, rest) = rest.split_at(open);
    let op: Op = serde_json::from_str(&format!("{{\"{name}\":{attributes}}}")).map_err(|e| e.to_string())?;
    let inputs =
        rest.trim_start().strip_prefix('(').and_then(|r| r.split_once(')')).ok_or("expected inputs in parentheses")?;
    let (inputs, rest) =
        (split_list(inputs.0).map(|n| lookup(names, n)).collect::<Result<Vec<_>, _>>()?, inputs.1.trim());
    let (metas, path) = match rest.split_once('@') {
        Some((metas, path)) => (metas.trim(), path),
        None => (rest, ""),
    };
    let outputs = graph.add(op, &inputs, path).map_err(|e| e.to_string())?;
    if let Some(given) = metas.strip_prefix(": ") {
        let inferred = outputs.iter().map(|&v| graph.meta(v).to_string()).collect::<Vec<_>>().join(", ");
        if given != inferred {
            return Err(format!("{name} yields {inferred}, not {given}"));
        }
    }
    let results: Vec<&str> = split_list(results).collect();
    if results.len() != outputs.len() {
        return Err(format!("{name} has {} outputs, not {}", outputs.len(), results.len()));
    }
    names.extend(results.into_iter().zip(outputs));
    Ok(())
}

/// The length of the JSON object that the text starts with; braces inside strings do not count.
fn attributes_end(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' if !quoted => depth += 1,
            b'}' if !quoted => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
        if i == 0 && depth == 0 {
            return None;
        }
    }
    None
}
