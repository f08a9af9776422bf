//! A graph that contains every op.

use binary_nets_graph::Op;

/// The names of all ops, as the parser lists them for one that it does not know.
pub fn op_names() -> Vec<String> {
    let error = serde_json::from_str::<Op>(r#"{"no such op":{}}"#).unwrap_err().to_string();
    let (_, list) = error.split_once("expected one of ").unwrap();
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every op at least once, with every output used or named.
pub const EVERY_OP: &str = r#"graph batch=2
    %image = input {"name":"image","shape":[4,4,2],"meaning":{"int":{"min":0,"max":255}}} ()
    %label = input {"name":"label","shape":[],"meaning":{"index":{"classes":3}}} ()
    %lr = scalar {"name":"lr"} ()
    %w = state {"path":"conv.weight","shape":[3,2,3,3],"kind":"parameter","init":"kaiming_normal"} ()
    %latent = state {"path":"binary.weight","shape":[3,2,3,3],"kind":"latent","init":{"uniform":{"low":-0.1,"high":0.1}}} ()
    %gamma = state {"path":"bn.weight","shape":[3],"kind":"parameter","init":{"constant":1.0}} ()
    %beta = state {"path":"bn.bias","shape":[3],"kind":"parameter","init":ZERO} ()
    %rm = state {"path":"bn.running_mean","shape":[3],"kind":"statistic","init":ZERO} ()
    %rv = state {"path":"bn.running_var","shape":[3],"kind":"statistic","init":{"constant":1.0}} ()
    %square = state {"path":"end.weight","shape":[3,3,1,1],"kind":"parameter","init":ZERO} ()
    %t = state {"path":"binary.weight#t","shape":[],"kind":"moment","init":ZERO} ()
    %x = normalize_image {"mean":[0.1307,0.4],"std":[0.3081,0.2]} (%image) : f32[2,4,4,2] @image
    %y = conv2d {"window":W3,"groups":1} (%x, %w) : f32[2,4,4,3] @conv
    %dx = conv2d_grad_input {"window":W3,"groups":1,"input":[4,4]} (%y, %w) : f32[2,4,4,2] @conv
    %dw = conv2d_grad_weight {"window":W3,"groups":1} (%x, %y) : f32[3,2,3,3] @conv
    %signs = sign {"gradient":"clip","groups":2} (%x) : bit(sign,2)[2,4,4,2] @binary
    %custom = sign {"gradient":CUSTOM,"groups":1} (%x) : bit(sign)[2,4,4,2] @binary
    %swish = step {"gradient":{"swish":{"beta":5.0}},"groups":1} (%x) : bit(step)[2,4,4,2] @binary
    %codes = step {"gradient":"approx","groups":1} (%x) : bit(step)[2,4,4,2] @binary
    %ds = surrogate_grad {"gradient":"approx"} (%x, %dx) : f32[2,4,4,2] @binary
    %slope = quantize_slope {"gradient":{"swish":{"beta":5.0}}} (%x) : int(0..255)[2,4,4,2] @binary
    %dq8 = quantized_slope_grad {"gradient":{"swish":{"beta":5.0}}} (%slope, %dx) : f32[2,4,4,2] @binary
    %bits, %alpha = binarize_weight {"scale":"channel","gradient":"identity","groups":1} (%latent) : bit(sign)[3,3,3,2], f32[3] @binary
    %b = binary_conv2d {"window":W3,"pad_value":1} (%codes, %bits, %alpha) : f32[2,4,4,3] @binary
    %i = binary_conv2d {"window":W3,"pad_value":0} (%codes, %bits) : int(-18..18)[2,4,4,3] @binary
    %db = binary_conv2d_grad_input {"window":W3,"groups":1,"input":[4,4]} (%b, %bits, %alpha) : f32[2,4,4,2] @binary
    %dq = binary_conv2d_grad_weight {"window":W3,"pad_value":1} (%codes, %b) : f32[3,2,3,3] @binary
    %wp = state {"path":"ternary.positive","shape":[1],"kind":"parameter","init":ZERO} ()
    %wn = state {"path":"ternary.negative","shape":[1],"kind":"parameter","init":ZERO} ()
    %tp, %tn = ternarize_weight {"threshold":0.05,"negative_gradient":"published"} (%latent, %wp, %wn) : bit(step)[3,3,3,2], bit(step)[3,3,3,2] @ternary
    %ty = ternary_conv2d {"window":W3,"pad_value":0} (%codes, %tp, %tn, %wp, %wn) : f32[2,4,4,3] @ternary
    %sp, %sn = ternary_conv2d {"window":W3,"pad_value":1} (%codes, %tp, %tn) : int(-18..18)[2,4,4,3], int(-18..18)[2,4,4,3] @ternary
    %dt, %dwp, %dwn = ternarize_weight_grad {"negative_gradient":"exact"} (%tp, %tn, %wp, %wn, %dq) : f32[3,2,3,3], f32[1], f32[1] @ternary
    %tx = ternary_conv2d_grad_input {"window":W3,"groups":1,"input":[4,4]} (%ty, %tp, %tn, %wp, %wn) : f32[2,4,4,2] @ternary
    %n, %mean, %variance = batch_norm {"eps":1e-5,"momentum":0.1} (%b, %gamma, %beta, %rm, %rv) : f32[2,4,4,3], f32[3], f32[3] @bn
    %nf, %fmean, %fvariance = batch_norm_fused {"eps":1e-5,"add":true,"relu":true} (%b, %gamma, %beta, %n) : f32[2,4,4,3], f32[3], f32[3] @bn
    %dn, %dgamma, %dbeta = batch_norm_grad {"eps":1e-5} (%b, %gamma, %mean, %variance, %n) : f32[2,4,4,3], f32[3], f32[3] @bn
    %ni = batch_norm_inference {"eps":1e-5} (%b, %gamma, %beta, %rm, %rv) : f32[2,4,4,3] @bn
    %r = relu {} (%n) : f32[2,4,4,3] @relu
    %slopes = constant {"values":[0.25,0.1,3.4028235e38],"shape":[3]} () : f32[3] @relu
    %pr = prelu {} (%n, %slopes) : f32[2,4,4,3] @relu
    %wide_mask = interval_mask {"min":-1.0,"max":1.0,"flat":true} (%latent) : bit(step)[3,18] @binary
    %masked_weights = apply_mask {"scale":2.0} (%wide_mask, %dq) : f32[3,2,3,3] @binary
    %custom_bits, %custom_alpha = binarize_weight {"scale":"group","gradient":CUSTOM,"groups":3} (%latent) : bit(sign)[3,3,3,2], f32[3] @binary
    %xnor_bits, %xnor_alpha = binarize_weight {"scale":"tensor","gradient":"xnor","groups":1} (%latent) : bit(sign)[3,3,3,2], f32[1] @binary
    %inside = interval_mask {"min":-1.0,"max":1.0} (%r) : bit(step)[2,4,4,3] @relu
    %masked = apply_mask {"scale":1.25} (%inside, %dn) : f32[2,4,4,3] @relu
    %p = max_pool2d {"window":W2} (%r) : f32[2,2,2,3] @pool
    %pm, %pi = max_pool2d_index {"window":W2} (%r) : f32[2,2,2,3], index(4)[2,2,2,3] @pool
    %dp = max_pool2d_grad {"window":W2,"input":[4,4]} (%pi, %p) : f32[2,4,4,3] @pool
    %m = avg_pool2d {"window":W2} (%r) : f32[2,2,2,3] @pool
    %dm = avg_pool2d_grad {"window":W2,"input":[4,4]} (%m) : f32[2,4,4,3] @pool
    %kept, %passed = dropout {"p":0.2,"stream":18446744073709551615} (%p) : f32[2,2,2,3], bit(step)[2,2,2,3] @drop
    %logits = reduce {"reduction":"mean","axes":[1,2],"keep":false} (%kept) : f32[2,3] @head
    %loss = softmax_cross_entropy {"label_smoothing":0.1} (%logits, %label) : f32[] @loss
    %dlogits = softmax_cross_entropy_grad {"label_smoothing":0.1} (%logits, %label, %loss) : f32[2,3] @loss
    %correct = count_correct {"k":1} (%logits, %label) : f32[] @top1
    %product = matmul {"transpose_a":true,"transpose_b":false} (%logits, %dlogits) : f32[3,3] @shapes
    %third = fill {"value":0.33333334,"shape":[]} () : f32[] @shapes
    %scaled = arithmetic {"function":"div"} (%product, %third) : f32[3,3] @shapes
    %e = unary {"function":"exp"} (%scaled) : f32[3,3] @shapes
    %th = unary {"function":"tanh"} (%e) : f32[3,3] @shapes
    %po = unary {"function":"power_of_two"} (%th) : f32[3,3] @shapes
    %clamped = clamp {"min":-0.1,"max":0.7} (%e) : f32[3,3] @shapes
    %less = compare {"comparison":"less_equal"} (%clamped, %third) : bit(step)[3,3] @shapes
    %chosen = select {} (%less, %e, %third) : f32[3,3] @shapes
    %turned = transpose {"permutation":[1,0]} (%chosen) : f32[3,3] @shapes
    %flat = reshape {"dims":[-1]} (%turned) : f32[9] @shapes
    %part = slice {"axis":0,"start":2,"end":5} (%flat) : f32[3] @shapes
    %padded = pad_axis {"axis":0,"before":1,"after":2} (%part) : f32[6] @shapes
    %joined = concat {"axis":0} (%part, %padded) : f32[9] @shapes
    %again = repeat {"axis":0,"times":3} (%joined) : f32[27] @shapes
    %wide = broadcast_to {"shape":[2,27]} (%again) : f32[2,27] @shapes
    %chances = one_hot {} (%label) : f32[2,3] @shapes
    %picked = gather {"axis":1} (%logits, %label) : f32[2] @shapes
    %spread = scatter {"axis":1,"extent":3} (%label, %picked) : f32[2,3] @shapes
    %still = stop_gradient {} (%spread) : f32[2,3] @shapes
    %a, %c = fold_affine {"channels":3,"steps":["scale",{"norm":{"eps":1e-5}}]} (%alpha, %gamma, %beta, %rm, %rv) : f32[3], f32[3] @frozen
    %af = affine {} (%i, %a, %c) : f32[2,4,4,3] @frozen
    %q, %sa, %sc = fold_stem {"border":{"window":W3,"input":[4,4]},"mean":[0.1307,0.4],"std":[0.3081,0.2],"largest":32767,"steps":[]} (%w) : int(-32767..32767)[3,3,3,2], f32[3], f32[3,3,3] @stem
    %si = image_conv2d {"border":{"window":W3,"input":[4,4]}} (%image, %q) : int(-150400530..150400530)[2,4,4,3] @stem
    %sf = affine {"border":{"window":W3,"input":[4,4]}} (%si, %sa, %sc) : f32[2,4,4,3] @stem
    %ta = ternary_affine {} (%sp, %sn, %a, %a, %c) : f32[2,4,4,3] @frozen
    %u = quantize {"factor":12.5,"zero":128,"stride":[2,1]} (%r) : int(0..255)[2,2,4,3] @end
    %uq, %ua, %uc = fold_stem {"border":{"window":W1,"input":[2,4]},"mean":[0.5019607843137255],"std":[0.04901960784313726],"largest":127,"steps":[]} (%square) : int(-127..127)[3,1,1,3], f32[3], f32[1,1,3] @end
    %ui = image_conv2d {"border":{"window":W1,"input":[2,4]}} (%u, %uq) : int(-97155..97155)[2,2,4,3] @end
    %half = round_half {} (%w) : f32[3,2,3,3] @frozen
    %w8, %s8 = quantize_weight {"axis":0} (%w) : int(-127..127)[3,2,3,3], f32[3] @frozen
    %back = dequantize {"axis":0} (%w8, %s8) : f32[3,2,3,3] @frozen
    %fm, %fc = fused {"body":[{"op":{"binary_conv2d":{"window":W3,"pad_value":0}},"inputs":[0,1]},{"op":{"affine":{}},"inputs":[4,2,3]},{"op":{"sign":{"gradient":"clip","groups":1}},"inputs":[5]}],"outputs":[5,6]} (%codes, %bits, %a, %c) : f32[2,4,4,3], bit(sign)[2,4,4,3] @frozen
    %finite = finite {} (%dw, %dgamma, %loss) : f32[]
    update_statistics {"momentum":{"fixed":0.1},"count":32} (%rm, %rv, %mean, %variance) @bn
    sgd {"momentum":0.0,"nesterov":false,"weight_decay":0.0001,"clamp":null} (%w, %dw, %lr) @conv
    increment {} (%t)
    %mm = state {"path":"binary.weight#m","shape":[3,2,3,3],"kind":"moment","init":ZERO} ()
    %vv = state {"path":"binary.weight#v","shape":[3,2,3,3],"kind":"moment","init":ZERO} ()
    adam {"beta1":0.9,"beta2":0.999,"eps":1e-8,"weight_decay":0.0,"clamp":1.0} (%latent, %dq, %lr, %t, %mm, %vv) @binary
    %vmax = state {"path":"binary.weight#vmax","shape":[3,2,3,3],"kind":"moment","init":ZERO} ()
    adam {"beta1":0.9,"beta2":0.999,"eps":1e-8,"weight_decay":0.01,"clamp":null,"decoupled":true,"amsgrad":true} (%latent, %dq, %lr, %t, %mm, %vv, %vmax) @binary
    bop {"threshold":1e-8} (%latent, %dq, %lr, %mm) @binary
    %norm = global_norm {} (%dw, %dq) : f32[]
    assign {} (%mm, %dq) @binary
    clear {} (%mm) @binary
    moving_average {"decay":0.999} (%vv, %latent) @binary
    output logits = %logits
    output loss = %loss"#;
