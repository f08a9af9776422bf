//! ONNX's operators as its specification has them, for one image, channels first, in f64.

/// A map `[channels, rows, columns]`.
#[derive(Clone)]
pub struct Map {
    pub extents: [usize; 3],
    pub data: Vec<f64>,
}

/// Pixels around an image: above, left, below, right.
pub type Pads = [usize; 4];

impl Map {
    pub fn from_fn(extents: [usize; 3], f: impl Fn(usize, usize, usize) -> f64) -> Self {
        let [c, h, w] = extents;
        let data = (0..c * h * w).map(|i| f(i / (h * w), i / w % h, i % w)).collect();
        Self { extents, data }
    }

    pub fn at(&self, channel: usize, row: usize, column: usize) -> f64 {
        let [_, h, w] = self.extents;
        self.data[(channel * h + row) * w + column]
    }

    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { data: self.data.iter().map(|&x| f(x)).collect(), ..self.clone() }
    }

    /// `Conv` with weights `[o, c, k, k]`, and a number around the image.
    pub fn conv(&self, w: &[f32], o: usize, stride: usize, pads: Pads, outside: f64) -> Self {
        let [c, height, width] = self.extents;
        let k = (w.len() / (o * c)).isqrt();
        let [top, left, below, right] = pads;
        let (rows, columns) = ((height + top + below - k) / stride + 1, (width + left + right - k) / stride + 1);
        Self::from_fn([o, rows, columns], |out, row, column| {
            let mut sum = 0.0;
            for i in 0..c * k * k {
                let (channel, y, x) = (i / (k * k), row * stride + i / k % k, column * stride + i % k);
                let is_inside = (top..top + height).contains(&y) && (left..left + width).contains(&x);
                let number = if is_inside { self.at(channel, y - top, x - left) } else { outside };
                sum += number * f64::from(w[out * c * k * k + i]);
            }
            sum
        })
    }

    /// `MaxPool` of 2×2 pixels, two apart.
    pub fn halved(&self) -> Self {
        let [c, h, w] = self.extents;
        Self::from_fn([c, h / 2, w / 2], |channel, row, column| {
            let of = |i: usize| self.at(channel, 2 * row + i / 2, 2 * column + i % 2);
            (0..4).map(of).fold(f64::NEG_INFINITY, f64::max)
        })
    }

    /// `GlobalAveragePool`
    pub fn means(&self) -> Vec<f64> {
        let [_, h, w] = self.extents;
        self.data.chunks(h * w).map(|channel| channel.iter().sum::<f64>() / (h * w) as f64).collect()
    }

    /// Its elements channels last, as our outputs have them.
    pub fn channels_last(&self) -> Vec<f64> {
        let [c, h, w] = self.extents;
        (0..h * w * c).map(|i| self.at(i % c, i / c / w, i / c % w)).collect()
    }
}

/// `Sign`
pub fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}
