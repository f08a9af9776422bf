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

fn planned(graph: &str, policy: Option<MemoryPolicy>) -> (Vec<String>, Planned) {
    let graph = Graph::parse(graph).unwrap();
    let graph = policy.map_or_else(|| graph.clone(), |policy| thrifty(&Vectors, &graph, policy).unwrap());
    let nodes = graph.nodes().iter().filter(|node| !node.op.is_leaf());
    (nodes.map(|node| node.path.clone()).collect(), Planned::new(&graph, 1).unwrap())
}

#[test]
fn what_waits_comes_later_and_what_is_cheap_again() {
    let (order, before) = planned(GRAPH, None);
    assert_eq!(order, ["early", "twice", "a", "wide", "wider", "part", "sum", "z"]);
    let (order, speed) = planned(GRAPH, Some(MemoryPolicy::Speed));
    assert_eq!(order, ["twice", "a", "wide", "wider", "part", "sum", "early", "z"]);
    let (order, min) = planned(GRAPH, Some(MemoryPolicy::Min));
    assert_eq!(order, ["twice", "a", "wide", "wider", "part", "twice", "sum", "early", "z"]);
    let bytes = |planned: &Planned| planned.program.workspace_bytes();
    // The step that widens holds five vectors besides what waits.
    assert_eq!(bytes(&before) - bytes(&speed), VECTOR);
    assert_eq!(bytes(&speed) - bytes(&min), VECTOR);
}

/// `norm` yields several values: `%mean` waits until the end, but `%n` is needed at once.
const SEVERAL: &str = r#"graph batch=2
    %x = input {"name":"x","shape":[6400],"meaning":"f32"} ()
    %g = state {"path":"g","shape":[6400],"kind":"parameter","init":{"constant":0.0}} ()
    %n, %mean, %variance = batch_norm {"eps":1e-5,"momentum":0.1} (%x, %g, %g, %g, %g) @norm
    %a = unary {"function":"neg"} (%n) @a
    %wide = concat {"axis":0} (%a, %x) @wide
    %wider = concat {"axis":0} (%wide, %x) @wider
    %sum = reduce {"reduction":"sum","axes":[0],"keep":false} (%wider) @sum
    %z = arithmetic {"function":"add"} (%sum, %mean) @z
    output z = %z"#;

#[test]
fn what_yields_several_values_comes_later_only_if_all_of_them_wait() {
    let order = |graph: &str, policy| planned(graph, Some(policy)).0;
    assert_eq!(order(SEVERAL, MemoryPolicy::Speed), ["norm", "a", "wide", "wider", "sum", "z"]);
    assert_eq!(order(SEVERAL, MemoryPolicy::Min), ["norm", "a", "wide", "wider", "sum", "norm", "z"]);
    let all_wait = SEVERAL.replace("(%n)", "(%x)");
    // The host reads when all is done.
    for graph in [all_wait.clone(), format!("{all_wait}\n    output n = %n")] {
        assert_eq!(order(&graph, MemoryPolicy::Speed), ["a", "wide", "wider", "sum", "norm", "z"]);
    }
}

#[test]
fn a_program_tells_what_it_holds() {
    let graph = thrifty(&Vectors, &Graph::parse(GRAPH).unwrap(), MemoryPolicy::Speed).unwrap();
    let program = Planned::new(&graph, 1).unwrap().program;
    let held = program.held(&graph);
    let fullest = program.fullest(&held);
    assert_eq!(program.steps()[fullest].path, "wider");
    let full: Vec<_> = held.iter().filter(|held| held.during(fullest)).collect();
    let full: Vec<_> = full.iter().map(|held| (held.path.as_str(), held.op, held.bytes)).collect();
    assert_eq!(
        full,
        [("twice", "arithmetic", VECTOR), ("wide", "concat", 2 * VECTOR), ("wider", "concat", 3 * VECTOR)]
    );
    // A step that replaces an input holds one of the two.
    let during_a: Vec<_> = held.iter().filter(|held| held.during(1)).map(|held| held.path.as_str()).collect();
    assert_eq!((program.steps()[1].path.as_str(), during_a), ("a", vec!["twice", "a"]));
}
