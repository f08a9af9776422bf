//! What training saves where a max pool stands behind a binary convolution.

use binary_nets_graph::passes::{read_through_pools, share_max_pools};

use crate::text::{assert_graph, graph};

const CONVOLUTION: &str = r#"graph batch=2
    %x = input {"name":"x","shape":[4,4,2],"meaning":"f32"} ()
    %w = state {"path":"w","shape":[3,2,3,3],"kind":"latent","init":ZERO} ()
    %codes = sign {"gradient":"clip","groups":1} (%x)
    %bits, %alpha = binarize_weight {"scale":"channel","gradient":"clip","groups":1} (%w)
    %y = binary_conv2d {"window":W3,"pad_value":0} (%codes, %bits, %alpha)"#;

/// The gradients of x and w behind a pool of this window, from these inputs; %dp is the gradient of the pool.
fn gradients(window: &str, unpool: &str, [dx, dw]: [&str; 2]) -> String {
    r#"
    %p, %i = max_pool2d_index {"window":WINDOW} (%y)
    %dp = relu {} (%p)
    %dy = max_pool2d_grad {"window":WINDOW,"input":[4,4]} (%i, %dp)
    %dx = binary_conv2d_grad_input {"window":W3,"groups":1,"input":[4,4]UNPOOL} (DX)
    %dw = binary_conv2d_grad_weight {"window":W3,"pad_value":0UNPOOL} (DW)
    output dx = %dx
    output dw = %dw"#
        .replace("UNPOOL", unpool)
        .replace("WINDOW", window)
        .replace("DX", dx)
        .replace("DW", dw)
}

#[test]
fn gradients_are_read_by_the_index_of_a_pool_whose_windows_lie_side_by_side() {
    let inputs = ["%dy, %bits, %alpha", "%codes, %dy"];
    let given = CONVOLUTION.to_owned() + &gradients("W2", "", inputs);
    let unpool = r#","unpool":{"window":W2,"input":[4,4]}"#;
    let read = ["%dp, %bits, %alpha, %i", "%codes, %dp, %i"];
    let expected = CONVOLUTION.to_owned() + &gradients("W2", unpool, read);
    assert_graph(&read_through_pools(&graph(&given)).unwrap(), &expected);

    // Windows that overlap, and those of a few pixels, of whose gradient little is zero.
    for window in [
        r#"{"kernel":[3,3],"stride":[1,1],"padding":[1,1],"dilation":[1,1]}"#,
        r#"{"kernel":[1,2],"stride":[1,2],"padding":[0,0],"dilation":[1,1]}"#,
    ] {
        let given = CONVOLUTION.to_owned() + &gradients(window, "", inputs);
        assert_graph(&read_through_pools(&graph(&given)).unwrap(), &given);
    }
}

#[test]
fn a_pool_and_its_index_are_one_sweep() {
    let given = CONVOLUTION.to_owned()
        + r#"
        %p = max_pool2d {"window":W2} (%y) @pool
        %r = relu {} (%p)
        %other = max_pool2d {"window":W1} (%y) @other
        %q, %i = max_pool2d_index {"window":W2} (%y) @pool
        %dy = max_pool2d_grad {"window":W2,"input":[4,4]} (%i, %r)
        output dy = %dy
        output other = %other"#;
    let expected = CONVOLUTION.to_owned()
        + r#"
        %p, %i = max_pool2d_index {"window":W2} (%y) @pool
        %r = relu {} (%p)
        %other = max_pool2d {"window":W1} (%y) @other
        %dy = max_pool2d_grad {"window":W2,"input":[4,4]} (%i, %r)
        output dy = %dy
        output other = %other"#;
    assert_graph(&share_max_pools(&graph(&given)).unwrap(), &expected);
}
