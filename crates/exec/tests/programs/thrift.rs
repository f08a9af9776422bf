//! Orders that need less memory.

use binary_nets_exec::{MemoryPolicy, thrifty};
use binary_nets_graph::Graph;

use crate::backend::{Planned, Vectors};

/// `early` is read at the end alone, `twice` at the begin and at the end, and between the two memory is scarce.
const GRAPH: &str = r#"graph batch=6400
    %x = input {"name":"x","shape":[],"meaning":"f32"} ()
    %y = input {"name":"y","shape":[],"meaning":"f32"} ()
    %early = arithmetic {"function":"add"} (%x, %y) @early
    %twice = arithmetic {"function":"mul"} (%x, %y) @twice
    %a = unary {"function":"neg"} (%twice) @a
    %wide = concat {"axis":0} (%a, %y) @wide
    %wider = concat {"axis":0} (%wide, %y) @wider
    %part = slice {"axis":0,"start":0,"end":6400} (%wider) @part
    %sum = arithmetic {"function":"add"} (%part, %twice) @sum
    %z = arithmetic {"function":"add"} (%sum, %early) @z
    output z = %z"#;

/// The bytes of one of the vectors.
const VECTOR: usize = 4 * 6400;

fn planned(policy: Option<MemoryPolicy>) -> (Vec<String>, Planned) {
    let graph = Graph::parse(GRAPH).unwrap();
    let graph = policy.map_or_else(|| graph.clone(), |policy| thrifty(&Vectors, &graph, policy).unwrap());
    let nodes = graph.nodes().iter().filter(|node| !node.op.is_leaf());
    (nodes.map(|node| node.path.clone()).collect(), Planned::new(&graph, 1).unwrap())
}

#[test]
fn what_waits_comes_later_and_what_is_cheap_again() {
    let (order, before) = planned(None);
    assert_eq!(order, ["early", "twice", "a", "wide", "wider", "part", "sum", "z"]);
    let (order, speed) = planned(Some(MemoryPolicy::Speed));
    assert_eq!(order, ["twice", "a", "wide", "wider", "part", "sum", "early", "z"]);
    let (order, min) = planned(Some(MemoryPolicy::Min));
    assert_eq!(order, ["twice", "a", "wide", "wider", "part", "twice", "sum", "early", "z"]);
    let bytes = |planned: &Planned| planned.program.workspace_bytes();
    // The step that widens holds five vectors besides what waits.
    assert_eq!(bytes(&before) - bytes(&speed), VECTOR);
    assert_eq!(bytes(&speed) - bytes(&min), VECTOR);
}

#[test]
fn a_program_tells_what_it_holds() {
    let (_, planned) = planned(Some(MemoryPolicy::Speed));
    let program = &planned.program;
    let fullest = program.fullest();
    assert_eq!(program.steps()[fullest].path, "wider");
    let held: Vec<_> = program.held(fullest).map(|held| (held.path.as_str(), held.op, held.bytes)).collect();
    assert_eq!(
        held,
        [("twice", "arithmetic", VECTOR), ("wide", "concat", 2 * VECTOR), ("wider", "concat", 3 * VECTOR)]
    );
    // A step that replaces an input holds one of the two.
    let (a, twice) = (1, program.held(1).map(|held| held.path.as_str()).collect::<Vec<_>>());
    assert_eq!((program.steps()[a].path.as_str(), twice), ("a", vec!["twice", "a"]));
}
