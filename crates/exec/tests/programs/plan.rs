//! What a plan says: order, regions, names, errors.

use binary_nets_exec::{ExecError, Region, StateTable, plan};
use binary_nets_graph::Graph;

use crate::backend::{Planned, Vectors};

const UPDATE_FIRST: &str = r#"graph batch=4
    %w = state {"path":"w","shape":[4],"kind":"parameter","init":{"constant":0.0}} ()
    %x = input {"name":"x","shape":[],"meaning":"f32"} ()
    %lr = scalar {"name":"lr"} ()
    %dw = arithmetic {"function":"mul"} (%x, %x) @dw
    sgd {"momentum":0.0,"nesterov":false,"weight_decay":0.0,"clamp":null} (%w, %dw, %lr) @w
    %y = arithmetic {"function":"add"} (%w, %x) @y
    %z = relu {} (%y) @z
    output z = %z"#;

#[test]
fn updates_come_last_and_readers_see_the_old_state() {
    let planned = Planned::new(&Graph::parse(UPDATE_FIRST).unwrap(), 1).unwrap();
    let ops: Vec<&str> = planned.program.steps().iter().map(|s| s.op).collect();
    assert_eq!(ops, ["arithmetic", "arithmetic", "relu", "sgd"]);
    assert_eq!((planned.program.compute(), planned.program.update()), (0..3, 3..4));
    planned.set_state("w", &[1.0, 2.0, 3.0, 4.0]);
    planned.set_input("x", 0, &[1.0, -4.0, 0.0, 2.0]);
    planned.set_input("lr", 0, &[0.5]);
    planned.run();
    assert_eq!(planned.output("z", 0), [2.0, 0.0, 3.0, 6.0]);
    assert_eq!(planned.state("w"), [0.5, -6.0, 3.0, 2.0]);
}

#[test]
fn a_program_prints_what_was_chosen() {
    let program = Planned::new(&Graph::parse(UPDATE_FIRST).unwrap(), 1).unwrap().program;
    // The relu's scratch of 1000 bytes is the largest and comes first; %dw and %y live beside it.
    assert_eq!(
        program.to_string(),
        "Workspace+1024 = arithmetic [vectors] (Batch+0, Batch+0) @dw\n\
         Workspace+1280 = arithmetic [vectors] (State+0, Batch+0) @y\n\
         Output+0 = relu [vectors] (Workspace+1280) @z\n\
         -- update --\n \
         = sgd [vectors] (State+0, Workspace+1024, Batch+256) @w\n\
         workspace 1536 B, batch 512 B, output 256 B, repeat 1\n"
    );
}

#[test]
fn repetitions_read_and_write_slots_of_their_own() {
    let graph = Graph::parse(
        r#"graph batch=2
        %x = input {"name":"x","shape":[],"meaning":"f32"} ()
        %c = state {"path":"c","shape":[2],"kind":"constant","init":{"constant":0.0}} ()
        %s = arithmetic {"function":"add"} (%x, %c) @s
        %y = relu {} (%s) @y
        output y = %y
        output x = %x
        output c = %c"#,
    );
    let planned = Planned::new(&graph.unwrap(), 3).unwrap();
    planned.set_state("c", &[10.0, -1.0]);
    for (i, x) in [[1.0, 2.0], [-20.0, 0.5], [0.0, 3.0]].iter().enumerate() {
        planned.set_input("x", i, x);
    }
    // The second operand is a constant: the step finds it in the prologue's result, behind the states.
    let resident = planned.program.steps()[0].resident;
    assert!(resident.region == Region::State && resident.offset >= planned.states.bytes() && resident.bytes == 8);
    planned.run();
    assert_eq!([0, 1, 2].map(|i| planned.output("y", i)), [[11.0, 1.0], [0.0, 0.0], [10.0, 2.0]]);
    assert_eq!(planned.output("x", 1), [-20.0, 0.5]);
    assert_eq!([0, 2].map(|i| planned.output("c", i)), [[10.0, -1.0]; 2]);
}

#[test]
fn constants_that_nothing_else_reads_are_consumed() {
    let graph = Graph::parse(
        r#"graph batch=2
        %x = input {"name":"x","shape":[2,2],"meaning":"f32"} ()
        %a = state {"path":"a","shape":[2,2],"kind":"constant","init":{"constant":0.0}} ()
        %b = state {"path":"b","shape":[2,2],"kind":"constant","init":{"constant":0.0}} ()
        %c = state {"path":"c","shape":[2,2],"kind":"constant","init":{"constant":0.0}} ()
        %s = arithmetic {"function":"add"} (%x, %a) @s
        %t = arithmetic {"function":"add"} (%s, %b) @t
        %u = arithmetic {"function":"add"} (%t, %c) @u
        %y = relu {} (%b) @y
        output u = %u
        output y = %y
        output c = %c"#,
    );
    let planned = Planned::new(&graph.unwrap(), 1).unwrap();
    // b has another reader, and c the host.
    assert_eq!(planned.program.consumed().into_iter().collect::<Vec<_>>(), [planned.states.address("a").unwrap()]);
}

#[test]
fn a_program_that_updates_state_is_not_repeated() {
    let error = Planned::new(&Graph::parse(UPDATE_FIRST).unwrap(), 2).err().unwrap();
    assert_eq!(error, ExecError::Plan("sgd at 'w': a program that is repeated updates state".to_owned()));
}

#[test]
fn missing_and_misshapen_states_are_named() {
    let graph = Graph::parse(UPDATE_FIRST).unwrap();
    let expected = ExecError::State { path: "w".to_owned(), expected: "f32[4]".to_owned() };
    assert_eq!(plan(&Vectors, &graph, &StateTable::default(), 1).err(), Some(expected.clone()));
    let mut states = StateTable::default();
    let wide = Graph::parse(&UPDATE_FIRST.replace("batch=4", "batch=5").replace("[4]", "[5]")).unwrap();
    assert_eq!(states.extend(&Vectors, &wide), ["w"]);
    assert_eq!(plan(&Vectors, &graph, &states, 1).err(), Some(expected));
}

#[test]
fn a_table_of_states_only_grows() {
    let mut states = StateTable::default();
    let graph = Graph::parse(UPDATE_FIRST).unwrap();
    assert_eq!(states.extend(&Vectors, &graph), ["w"]);
    let before = states.address("w");
    let more = UPDATE_FIRST.replace(
        "%x = ",
        "%a = state {\"path\":\"a\",\"shape\":[],\"kind\":\"moment\",\"init\":{\"constant\":0.0}} ()\n%x = ",
    );
    assert_eq!(states.extend(&Vectors, &Graph::parse(&more).unwrap()), ["a"]);
    assert_eq!(states.address("w"), before);
    assert!(!states.address("a").unwrap().overlaps(&before.unwrap()));
    assert_eq!(states.states().map(|s| s.path.as_str()).collect::<Vec<_>>(), ["a", "w"]);
}

#[test]
fn an_unsupported_op_is_named() {
    let graph = Graph::parse(
        r#"graph batch=4
        %x = input {"name":"x","shape":[],"meaning":"f32"} ()
        %y, %m = dropout {"p":0.5,"stream":0} (%x) @layer1.0.drop
        output y = %y"#,
    );
    let error = Planned::new(&graph.unwrap(), 1).err().unwrap();
    assert_eq!(error.to_string(), "dropout at 'layer1.0.drop' is not supported here: vectors do not drop");
}
