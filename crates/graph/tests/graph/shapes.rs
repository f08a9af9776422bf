//! Every op refuses what it cannot take, naming itself, its path, what it expects and what it got.

use std::collections::BTreeSet;

use binary_nets_graph::Graph;
use binary_nets_graph::ops::{Constant, Sign, Surrogate};

use crate::every_op::op_names;
use crate::text::spell;

/// Values to go wrong with.
const VALUES: &str = r#"graph batch=2
    %image = input {"name":"image","shape":[4,4,2],"meaning":{"int":{"min":0,"max":255}}} ()
    %label = input {"name":"label","shape":[],"meaning":{"index":{"classes":3}}} ()
    %x = state {"path":"x","shape":[2,4,4,2],"kind":"parameter","init":ZERO} ()
    %y = state {"path":"y","shape":[2,4,4,3],"kind":"parameter","init":ZERO} ()
    %m = state {"path":"m","shape":[2,3],"kind":"parameter","init":ZERO} ()
    %v = state {"path":"v","shape":[3],"kind":"parameter","init":ZERO} ()
    %s = state {"path":"s","shape":[],"kind":"parameter","init":ZERO} ()
    %w = state {"path":"w","shape":[3,2,3,3],"kind":"parameter","init":ZERO} ()
    %u = state {"path":"u","shape":[3,5,3,3],"kind":"parameter","init":ZERO} ()
    %codes = step {"gradient":"identity","groups":1} (%x)
    %bits, %alpha = binarize_weight {"scale":"tensor","gradient":"identity","groups":1} (%w)
    %one = state {"path":"one","shape":[1],"kind":"parameter","init":ZERO} ()
    %tp, %tn = ternarize_weight {"threshold":0.05,"negative_gradient":"exact"} (%w, %one, %one)
    %dp, %dn = ternary_conv2d {"window":W3,"pad_value":1} (%codes, %tp, %tn)
    %q = state {"path":"q","shape":[3,3,3,2],"kind":"constant","init":ZERO,"meaning":{"int":{"min":-32767,"max":32767}}} ()"#;

/// A line, what the op expects, what it got.
const CASES: &[(&str, &str, &str)] = &[
    (r#"%z = scalar {"name":"lr"} (%s)"#, "0 inputs", "1"),
    (r#"%z = fill {"value":0.0,"shape":[]} (%s, %s)"#, "0 inputs", "2"),
    (r#"%z = state {"path":"z","shape":[3,0],"kind":"parameter","init":ZERO} ()"#, "extents of 1 or more", "[3,0]"),
    (
        r#"%z = state {"path":"z#m","shape":[3],"kind":"parameter","init":ZERO} ()"#,
        "a path without '#', which moments have in theirs",
        "z#m",
    ),
    (
        r##"%z = state {"path":"#z","shape":[3],"kind":"latent","init":ZERO} ()"##,
        "a path without '#', which moments have in theirs",
        "#z",
    ),
    (
        r#"%z = state {"path":"z#","shape":[3],"kind":"statistic","init":ZERO} ()"#,
        "a path without '#', which moments have in theirs",
        "z#",
    ),
    (
        r#"%z = input {"name":"z","shape":[18446744073709551615,3],"meaning":"f32"} ()"#,
        "fewer than 2^31 elements",
        "f32[2,18446744073709551615,3]",
    ),
    (
        r#"%z = fill {"value":1.0,"shape":[4294967296,4294967296]} ()"#,
        "fewer than 2^31 elements",
        "f32[4294967296,4294967296]",
    ),
    (r"%z = finite {} (%x, %image)", "an f32 tensor", "int(0..255)[2,4,4,2]"),
    (r#"%z = normalize_image {"mean":[0.5],"std":[0.5]} (%image)"#, "mean and std for 2 channels", "1 and 1"),
    (
        r#"%z = normalize_image {"mean":[0.5,0.5],"std":[0.5,0.0]} (%image)"#,
        "finite means and standard deviations above 0",
        "[0.5, 0.5] and [0.5, 0.0]",
    ),
    (
        r#"%z = normalize_image {"mean":[0.5,0.5],"std":[0.5,0.5]} (%x)"#,
        "an image int(0..255)[n,h,w,c]",
        "f32[2,4,4,2]",
    ),
    (r#"%z = conv2d {"window":W3,"groups":1} (%image, %w)"#, "x as an f32 tensor of rank 4", "int(0..255)[2,4,4,2]"),
    (r#"%z = conv2d {"window":W3,"groups":1} (%x, %u)"#, "weights [3,2,3,3]", "[3,5,3,3]"),
    (r#"%z = conv2d {"window":W3,"groups":2} (%x, %w)"#, "input and output channels divisible by 2 groups", "2 and 3"),
    (r#"%z = conv2d {"window":W3,"groups":0} (%x, %w)"#, "input and output channels divisible by 0 groups", "2 and 3"),
    (
        r#"%z = conv2d {"window":{"kernel":[3,3],"stride":[0,1],"padding":[1,1],"dilation":[1,1]},"groups":1} (%x, %w)"#,
        "kernel, stride and dilation of 1 or more",
        "Window { kernel: [3, 3], stride: [0, 1], padding: [1, 1], dilation: [1, 1] }",
    ),
    (
        r#"%z = conv2d {"window":{"kernel":[3,3],"stride":[1,1],"padding":[0,0],"dilation":[1,2]},"groups":1} (%x, %w)"#,
        "an input that holds the window (kernel [3, 3], dilation [1, 2], padding [0, 0])",
        "4x4",
    ),
    (r#"%z = conv2d_grad_input {"window":W3,"groups":1,"input":[5,4]} (%y, %w)"#, "dy [2, 5, 4, 3]", "[2, 4, 4, 3]"),
    (r#"%z = conv2d_grad_weight {"window":W2,"groups":1} (%x, %y)"#, "dy [2, 2, 2, 3]", "[2, 4, 4, 3]"),
    (r#"%z = sign {"gradient":"clip","groups":2} (%y)"#, "channels divisible by 2 groups", "f32[2,4,4,3]"),
    (r#"%z = step {"gradient":"clip","groups":1} (%codes)"#, "an f32 tensor", "bit(step)[2,4,4,2]"),
    (
        r#"%z = quantized_slope_grad {"gradient":"approx"} (%x, %x)"#,
        "slopes of 0 to 255 for f32[2,4,4,2]",
        "f32[2,4,4,2]",
    ),
    (r#"%z = quantize_slope {"gradient":"approx"} (%codes)"#, "an f32 tensor", "bit(step)[2,4,4,2]"),
    (r#"%z = surrogate_grad {"gradient":"approx"} (%x, %y)"#, "f32[2,4,4,2]", "f32[2,4,4,3]"),
    (r#"%z = surrogate_grad {"gradient":{"swish":{"beta":0.0}}} (%x, %x)"#, "a finite beta above 0", "0"),
    (r#"%z = sign {"gradient":{"swish":{"beta":-1.0}},"groups":1} (%x)"#, "a finite beta above 0", "-1"),
    (r#"%z = step {"gradient":{"swish":{"beta":0.0}},"groups":1} (%x)"#, "a finite beta above 0", "0"),
    (r"%z = prelu {} (%x, %v)", "a slope f32[2] or f32[1]", "f32[3]"),
    (r"%z = prelu {} (%s, %s)", "x as an f32 tensor of rank 1 or more", "f32[]"),
    (r"%z = prelu {} (%image, %v)", "an f32 tensor", "int(0..255)[2,4,4,2]"),
    (r#"%z = constant {"values":[1.0,2.0],"shape":[3]} ()"#, "as many values as [3] has elements", "2"),
    (r#"%z = constant {"values":[],"shape":[]} (%s)"#, "0 inputs", "1"),
    (r"%z = one_hot {} (%v)", "an index(classes)[…]", "f32[3]"),
    (
        r#"%z = state {"path":"z","shape":[3],"kind":"parameter","init":{"uniform":{"low":1.0,"high":-1.0}}} ()"#,
        "a uniform start with finite low ≤ high",
        "1 and -1",
    ),
    (
        r#"%z, %zz = binarize_weight {"scale":"tensor","gradient":"clip","groups":2} (%w)"#,
        "output channels divisible by 2 groups",
        "3",
    ),
    (
        r#"%z = ternary_conv2d_grad_input {"window":W3,"groups":1,"input":[4,4]} (%y, %tp, %bits, %one, %one)"#,
        "two planes of weights as bit(step)[o,kh,kw,c]",
        "bit(step)[3,3,3,2] and bit(sign)[3,3,3,2]",
    ),
    (
        r#"%z = ternary_conv2d_grad_input {"window":W3,"groups":1,"input":[4,4]} (%y, %tp, %tn, %one, %v)"#,
        "w_n f32[1]",
        "f32[3]",
    ),
    (
        r#"%z = binary_conv2d_grad_input {"window":W3,"groups":1,"input":[4,4]} (%y, %tp, %one)"#,
        "weights as bit(sign)[o,kh,kw,c]",
        "bit(step)[3,3,3,2]",
    ),
    (
        r#"%z, %zz = ternarize_weight {"threshold":1.5,"negative_gradient":"exact"} (%w, %one, %one)"#,
        "a threshold from 0 to 1",
        "1.5",
    ),
    (
        r#"%z, %zz = ternarize_weight {"threshold":0.05,"negative_gradient":"exact"} (%w, %one, %v)"#,
        "w_n f32[1]",
        "f32[3]",
    ),
    (
        r#"%z, %zp, %zn = ternarize_weight_grad {"negative_gradient":"exact"} (%tp, %tn, %one, %one, %u)"#,
        "dq f32[3,2,3,3]",
        "f32[3,5,3,3]",
    ),
    (
        r#"%z, %zz = ternary_conv2d {"window":W3,"pad_value":0} (%codes, %tp, %bits)"#,
        "two planes of weights as bit(step)[o,kh,kw,c]",
        "bit(step)[3,3,3,2] and bit(sign)[3,3,3,2]",
    ),
    (
        r#"%z, %zz = ternary_conv2d {"window":W3,"pad_value":0} (%codes, %bits, %bits)"#,
        "two planes of weights as bit(step)[o,kh,kw,c]",
        "bit(sign)[3,3,3,2] and bit(sign)[3,3,3,2]",
    ),
    (
        r#"%z = ternary_conv2d {"window":W3,"pad_value":0} (%codes, %tp, %tn, %one)"#,
        "codes, two planes, w_p and w_n",
        "4 inputs",
    ),
    (r#"%z, %zz = ternary_conv2d {"window":W3,"pad_value":2} (%codes, %tp, %tn)"#, "a pad value of 0 or 1", "2"),
    (
        r#"%z = binary_conv2d {"window":W3,"pad_value":0} (%codes, %tp)"#,
        "weights as bit(sign)[o,kh,kw,c]",
        "bit(step)[3,3,3,2]",
    ),
    (
        r#"%z, %zz = binarize_weight {"scale":"tensor","gradient":"clip","groups":1} (%m)"#,
        "latent weights as an f32 tensor of rank 4",
        "f32[2,3]",
    ),
    (
        r#"%z = binary_conv2d {"window":W3,"pad_value":0} (%x, %bits, %alpha)"#,
        "codes as bits of rank 4",
        "f32[2,4,4,2]",
    ),
    (
        r#"%z = binary_conv2d {"window":W3,"pad_value":0} (%codes, %codes, %alpha)"#,
        "weights as bit(sign)[o,kh,kw,c]",
        "bit(step)[2,4,4,2]",
    ),
    (r#"%z = binary_conv2d {"window":W3,"pad_value":0} (%codes, %bits, %s)"#, "α as f32[1], f32[1] or f32[3]", "f32[]"),
    (r#"%z = binary_conv2d {"window":W3,"pad_value":2} (%codes, %bits)"#, "a pad value of 0 or 1", "2"),
    (r#"%z = binary_conv2d {"window":W3,"pad_value":0} (%codes)"#, "codes and weights", "1 inputs"),
    (
        r#"%z = binary_conv2d_grad_input {"window":W3,"groups":1,"input":[4,5]} (%y, %bits, %alpha)"#,
        "dy [2, 4, 5, 3]",
        "[2, 4, 4, 3]",
    ),
    (
        r#"%z = binary_conv2d_grad_weight {"window":W3,"pad_value":0} (%x, %y)"#,
        "codes as bits of rank 4",
        "f32[2,4,4,2]",
    ),
    (r#"%z, %a, %b = batch_norm {"eps":1e-5,"momentum":0.1} (%x, %v, %v, %v, %v)"#, "gamma f32[2]", "f32[3]"),
    (
        r#"%z, %a, %b = batch_norm {"eps":1e-5,"momentum":0.1} (%v, %v, %v, %v, %v)"#,
        "x as an f32 tensor of rank 2 or more",
        "f32[3]",
    ),
    (
        r#"%z, %a, %b = batch_norm {"eps":1e-5,"momentum":0.1} (%image, %v, %v, %v, %v, %alpha)"#,
        "integers of 16 bits with a sign",
        "int(0..255)[2,4,4,2]",
    ),
    (
        r#"%z, %a, %b = batch_norm_grad {"eps":1e-5} (%dp, %v, %v, %v, %y, %s)"#,
        "α for equal parts of 3 channels",
        "f32[]",
    ),
    (r#"%z, %a, %b = batch_norm {"eps":-1.0,"momentum":0.1} (%y, %v, %v, %v, %v)"#, "an eps of 0 or more", "-1"),
    (
        r#"%z, %a, %b = batch_norm_fused {"eps":1e-5,"add":true,"relu":true} (%y, %v, %v, %x)"#,
        "f32[2,4,4,3]",
        "f32[2,4,4,2]",
    ),
    (
        r#"%z, %a, %b = batch_norm_fused {"eps":1e-5,"add":false,"relu":false} (%y, %v, %v)"#,
        "a sum or a rectifier behind the norm",
        "neither",
    ),
    (r#"%z, %a, %b = batch_norm_grad {"eps":1e-5} (%y, %v, %v, %v, %x)"#, "f32[2,4,4,3]", "f32[2,4,4,2]"),
    (r#"%z = batch_norm_inference {"eps":1e-5} (%y, %v, %v, %v, %alpha)"#, "variance f32[3]", "f32[1]"),
    (r#"update_statistics {"momentum":"cumulative","count":4} (%v, %v, %v, %alpha)"#, "f32[3]", "f32[1]"),
    ("%z = relu {} (%image)", "an f32 tensor", "int(0..255)[2,4,4,2]"),
    (r#"%z = apply_mask {"scale":1.0} (%codes, %y)"#, "a mask bit(step)[2, 4, 4, 3]", "bit(step)[2,4,4,2]"),
    (r#"%z = interval_mask {"min":-1.0,"max":1.0} (%codes)"#, "an f32 tensor", "bit(step)[2,4,4,2]"),
    (
        r#"%z = max_pool2d {"window":{"kernel":[2,2],"stride":[2,2],"padding":[2,0],"dilation":[1,1]}} (%x)"#,
        "a padding of at most half the kernel",
        "[2, 0] for kernel [2, 2]",
    ),
    (
        r#"%z = max_pool2d {"window":{"kernel":[2,2],"stride":[1,1],"padding":[3,0],"dilation":[5,1]}} (%x)"#,
        "windows that touch the image",
        "Window { kernel: [2, 2], stride: [1, 1], padding: [3, 0], dilation: [5, 1] } on 4×4",
    ),
    (r#"%z = max_pool2d_index {"window":W2} (%m)"#, "x as an f32 tensor of rank 4", "f32[2,3]"),
    (r#"%z = max_pool2d_grad {"window":W2,"input":[4,4]} (%label, %y)"#, "an index of shape [2,4,4,3]", "index(3)[2]"),
    (
        r#"%z = binary_conv2d_grad_weight {"window":W3,"pad_value":0,"unpool":{"window":W2,"input":[4,4]}} (%codes, %y)"#,
        "an index with a pool, and only there",
        "0 more inputs",
    ),
    (
        r#"%z = binary_conv2d_grad_weight {"window":W3,"pad_value":0,"unpool":{"window":W3,"input":[4,4]}} (%codes, %y, %label)"#,
        "windows that lie side by side",
        "Window { kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1] }",
    ),
    (
        r#"%z = binary_conv2d_grad_weight {"window":W3,"pad_value":0,"unpool":{"window":W2,"input":[4,4]}} (%codes, %y, %label)"#,
        "an index of shape [2,4,4,3]",
        "index(3)[2]",
    ),
    (r#"%z = avg_pool2d {"window":W2} (%image)"#, "x as an f32 tensor of rank 4", "int(0..255)[2,4,4,2]"),
    (r#"%z = avg_pool2d_grad {"window":W2,"input":[4,4]} (%y)"#, "dy [2, 2, 2, 3]", "[2, 4, 4, 3]"),
    (r#"%z, %zz = dropout {"p":1.0,"stream":0} (%x)"#, "a probability in [0, 1)", "1"),
    (
        r#"%z = softmax_cross_entropy {"label_smoothing":0.0} (%x, %label)"#,
        "logits as an f32 tensor of rank 2",
        "f32[2,4,4,2]",
    ),
    (r#"%z = softmax_cross_entropy {"label_smoothing":1.5} (%m, %label)"#, "a label smoothing in [0, 1]", "1.5"),
    (r#"%z = softmax_cross_entropy_grad {"label_smoothing":0.0} (%m, %v, %s)"#, "labels index(3)[2]", "f32[3]"),
    (r#"%z = count_correct {"k":0} (%m, %label)"#, "a k of 1 or more", "0"),
    (r#"%z = matmul {"transpose_a":false,"transpose_b":false} (%m, %m)"#, "a right operand with 3 rows", "2"),
    (
        r#"%z = matmul {"transpose_a":true,"transpose_b":false} (%v, %m)"#,
        "the left operand as an f32 tensor of rank 2",
        "f32[3]",
    ),
    (r#"%z = arithmetic {"function":"add"} (%x, %y)"#, "a shape that stretches to [2,4,4,2]", "[2,4,4,3]"),
    (r#"%z = unary {"function":"exp"} (%image)"#, "an f32 tensor", "int(0..255)[2,4,4,2]"),
    (r#"%z = clamp {"min":1.0,"max":-1.0} (%x)"#, "min ≤ max", "1 and -1"),
    (r#"%z = compare {"comparison":"less"} (%x, %m)"#, "a shape that stretches to [2,4,4,2]", "[2,3]"),
    ("%z = select {} (%codes, %s, %y)", "a shape that stretches to [2,4,4,2]", "[2,4,4,3]"),
    (r#"%z = transpose {"permutation":[1,1]} (%m)"#, "a permutation of 2 axes", "[1, 1]"),
    (r#"%z = reshape {"dims":[4,-1]} (%m)"#, "dims that hold the 6 elements of [2,3]", "[4, -1]"),
    (r#"%z = reshape {"dims":[-1,-1]} (%m)"#, "dims that hold the 6 elements of [2,3]", "[-1, -1]"),
    (r#"%z = slice {"axis":1,"start":1,"end":4} (%m)"#, "a range inside 0..3", "1..4"),
    (r#"%z = slice {"axis":2,"start":0,"end":1} (%m)"#, "an axis below 2", "2"),
    (r#"%z = pad_axis {"axis":3,"before":1,"after":1} (%m)"#, "an axis below 2", "3"),
    (
        r#"%z = pad_axis {"axis":0,"before":18446744073709551615,"after":1} (%m)"#,
        "fewer than 2^31 elements",
        "f32[18446744073709551615,3]",
    ),
    (r#"%z = concat {"axis":0} (%m, %v)"#, "extents of [2,3] but for axis 0", "[3]"),
    (r#"%z = concat {"axis":0} ()"#, "one input or more", "none"),
    (r#"%z = concat {"axis":1} (%x, %y)"#, "extents of [2,4,4,2] but for axis 1", "[2,4,4,3]"),
    (r#"%z = repeat {"axis":0,"times":0} (%m)"#, "1 time or more", "0"),
    (
        r#"%z = repeat {"axis":0,"times":18446744073709551615} (%m)"#,
        "fewer than 2^31 elements",
        "f32[18446744073709551615,3]",
    ),
    (r#"%z = broadcast_to {"shape":[4,3]} (%m)"#, "a shape that stretches to [4,3]", "[2,3]"),
    (r#"%z = reduce {"reduction":"sum","axes":[1,0],"keep":false} (%m)"#, "ascending axes below 2", "[1, 0]"),
    (r#"%z = reduce {"reduction":"sum","axes":[2],"keep":false} (%m)"#, "ascending axes below 2", "[2]"),
    (r#"%z = gather {"axis":0} (%m, %label)"#, "an index(2)[3]", "index(3)[2]"),
    (r#"%z = scatter {"axis":0,"extent":2} (%label, %v)"#, "an index(2)[3]", "index(3)[2]"),
    ("%z = stop_gradient {} (%codes)", "an f32 tensor", "bit(step)[2,4,4,2]"),
    (
        r#"sgd {"momentum":0.5,"nesterov":false,"weight_decay":0.0,"clamp":null} (%v, %v, %s)"#,
        "a velocity where there is momentum",
        "0 moments",
    ),
    (
        r#"adam {"beta1":0.9,"beta2":0.999,"eps":1e-8,"weight_decay":0.0,"clamp":null} (%v, %v, %v, %s, %v, %v)"#,
        "lr as an f32 tensor of rank 0",
        "f32[3]",
    ),
    (
        r#"adam {"beta1":0.9,"beta2":0.999,"eps":1e-8,"weight_decay":0.0,"clamp":null,"amsgrad":true} (%v, %v, %s, %s, %v, %v)"#,
        "3 moments",
        "2",
    ),
    (
        r#"adam {"beta1":0.9,"beta2":0.999,"eps":1e-8,"weight_decay":0.0,"clamp":null} (%v, %v, %s, %s, %v, %s)"#,
        "f32[3]",
        "f32[]",
    ),
    (r#"bop {"threshold":1e-8} (%v, %v, %v, %v)"#, "the rate as an f32 tensor of rank 0", "f32[3]"),
    (r#"bop {"threshold":1e-8} (%v, %v, %s, %m)"#, "f32[3]", "f32[2,3]"),
    (r#"bop {"threshold":-1.0} (%v, %v, %s, %v)"#, "a threshold of 0 or more", "-1"),
    ("assign {} (%v, %m)", "f32[3]", "f32[2,3]"),
    ("clear {} (%codes)", "an f32 tensor", "bit(step)[2,4,4,2]"),
    (r#"moving_average {"decay":0.5} (%v, %m)"#, "f32[3]", "f32[2,3]"),
    (r#"moving_average {"decay":1.0} (%v, %v)"#, "a decay in [0, 1)", "1"),
    ("%z = global_norm {} (%x, %codes)", "an f32 tensor", "bit(step)[2,4,4,2]"),
    ("increment {} (%v)", "a counter as an f32 tensor of rank 0", "f32[3]"),
    (
        r#"%z, %zz = fold_affine {"channels":2,"steps":["scale"]} (%v)"#,
        "a scale vector that divides 2 channels",
        "f32[3]",
    ),
    (r#"%z, %zz = fold_affine {"channels":3,"steps":[]} (%v)"#, "0 constants", "1"),
    (r#"%z, %zz = fold_affine {"channels":3,"steps":["scale",{"norm":{"eps":0.5}}]} (%v)"#, "5 constants", "1"),
    (r#"%z, %zz = fold_affine {"channels":3,"steps":[{"norm":{"eps":0.5}}]} (%v, %v, %s, %v)"#, "mean f32[3]", "f32[]"),
    (
        "%z = ternary_affine {} (%y, %y, %v, %v, %v)",
        "two maps of integers that are alike",
        "f32[2,4,4,3] and f32[2,4,4,3]",
    ),
    ("%z = ternary_affine {} (%dp, %dn, %v, %s, %v)", "a_n f32[3]", "f32[]"),
    ("%z = affine {} (%codes, %v, %v)", "numbers", "bit(step)[2,4,4,2]"),
    (
        r#"%z = affine {"border":{"window":W3,"input":[4,4]}} (%y, %v, %v)"#,
        "x [n,4,4,3] and c f32[3,3,3]",
        "f32[2,4,4,3] and f32[3]",
    ),
    (
        r#"%z, %a, %b = fold_stem {"border":{"window":W3,"input":[4,4]},"mean":[0.5,0.5,0.5],"std":[0.5],"largest":32767,"steps":[]} (%w)"#,
        "weights for 3 channels and kernel [3, 3]",
        "f32[3,2,3,3]",
    ),
    (
        r#"%z, %a, %b = fold_stem {"border":{"window":W3,"input":[4,4]},"mean":[0.5],"std":[0.5],"largest":128,"steps":[]} (%w)"#,
        "127 or 32767 as the largest weight",
        "128",
    ),
    (
        r#"%z = quantize {"factor":0.0,"zero":0,"stride":[1,1]} (%y)"#,
        "a finite factor above 0 and a stride of at least 1",
        "0 and [1, 1]",
    ),
    (
        r#"%z = quantize {"factor":1.0,"zero":0,"stride":[1,0]} (%y)"#,
        "a finite factor above 0 and a stride of at least 1",
        "1 and [1, 0]",
    ),
    (r#"%z = quantize {"factor":1.0,"zero":0,"stride":[1,1]} (%v)"#, "x as an f32 tensor of rank 4", "f32[3]"),
    (
        r#"%z = image_conv2d {"border":{"window":W3,"input":[5,4]}} (%image, %q)"#,
        "int(0..255)[n,5,4,c] and weights int(-127..127) or int(-32767..32767)",
        "int(0..255)[2,4,4,2] and int(-32767..32767)[3,3,3,2]",
    ),
    (
        r#"%z = fused {"body":[{"op":{"relu":{}},"inputs":[1]}],"outputs":[1]} (%y)"#,
        "relu in the body to read values below 1",
        "[1]",
    ),
    (
        r#"%z = fused {"body":[{"op":{"increment":{}},"inputs":[0]}],"outputs":[1]} (%s)"#,
        "a body of ops that only compute",
        "increment",
    ),
    (r#"%z = fused {"body":[],"outputs":[0]} (%y)"#, "a body", "none"),
    (
        r#"%z = fused {"body":[{"op":{"relu":{}},"inputs":[0]}],"outputs":[1,1]} (%y)"#,
        "outputs of the body, each once and numbered 1 to 1",
        "[1, 1]",
    ),
    (
        r#"%z = fused {"body":[{"op":{"sign":{"gradient":"clip","groups":2}},"inputs":[0]}],"outputs":[1]} (%y)"#,
        "channels divisible by 2 groups",
        "f32[2,4,4,3]",
    ),
    ("%z = round_half {} (%codes)", "an f32 tensor", "bit(step)[2,4,4,2]"),
    (r#"%z, %zz = quantize_weight {"axis":4} (%w)"#, "an axis below 4", "4"),
    (r#"%z = dequantize {"axis":0} (%q, %v)"#, "int(-127..127) weights", "int(-32767..32767)[3,3,3,2]"),
];

fn op_of(line: &str) -> &str {
    line.split_once(" = ").map_or(line, |(_, op)| op).split(' ').next().unwrap()
}

#[test]
fn mismatches_name_op_path_expected_and_got() {
    let line = VALUES.lines().count() + 1;
    for (text, expected, got) in CASES {
        let error = Graph::parse(&spell(&format!("{VALUES}\n{text} @layer1.0")));
        let message = format!("line {line}: {} at 'layer1.0': expected {expected}, got {got}", op_of(text));
        assert_eq!(error.unwrap_err().to_string(), message);
    }
}

#[test]
fn every_op_has_a_case() {
    let cases: BTreeSet<&str> = CASES.iter().map(|(line, ..)| op_of(line)).collect();
    assert_eq!(cases, op_names().iter().map(String::as_str).collect());
}

/// JSON has no words for them, but callers do.
#[test]
fn numbers_that_are_not_finite_are_refused() {
    let constant = Constant { values: vec![1.0, f32::INFINITY], shape: [2].into() };
    let swish = Sign { gradient: Surrogate::Swish { beta: f32::NAN }, groups: 1 };
    let mut graph = Graph::new(1);
    let zero = graph.add_one(Constant { values: vec![0.0], shape: [1].into() }, &[], "").unwrap();
    let error = graph.add_one(constant, &[], "p").unwrap_err();
    assert_eq!(error.to_string(), "constant at 'p': expected finite values, got inf");
    let error = graph.add_one(swish, &[zero], "p").unwrap_err();
    assert_eq!(error.to_string(), "sign at 'p': expected a finite beta above 0, got NaN");
}

#[test]
fn the_number_of_inputs_is_checked() {
    for (line, message) in [
        ("relu {} (%x, %x)", "relu at 'p': expected 1 inputs, got 2"),
        ("select {} (%codes, %x)", "select at 'p': expected 3 inputs, got 2"),
    ] {
        let error = Graph::parse(&spell(&format!("{VALUES}\n%z = {line} @p"))).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}
