//! The exponential function in f32.

const LOG2_E: f32 = core::f32::consts::LOG2_E;
/// ln 2 in two parts: the first has so few bits that its product with the integer below is exact.
const LN2_HIGH: f32 = 0.693_359_375;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Outside these the result is infinite or rounds to zero.
const LARGEST: f32 = 88.722_83;
const SMALLEST: f32 = -103.972_08;

/// eˣ to about 1 ulp. x = n ln 2 + r with |r| <= ln 2 / 2, eˣ = 2ⁿ eʳ, eʳ by its Taylor polynomial of degree 7 (error below 2⁻²⁷).
#[inline]
pub fn exp(x: f32) -> f32 {
    if !(x <= LARGEST) {
        return if x.is_nan() { x } else { f32::INFINITY };
    }
    if x < SMALLEST {
        return 0.0;
    }
    let n = (x * LOG2_E + if x < 0.0 { -0.5 } else { 0.5 }) as i32;
    let r = (x - n as f32 * LN2_HIGH) - n as f32 * LN2_LOW;
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        p = p * r + c;
    }
    let e = 1.0 + (r + r * r * p);
    // Two factors, so that neither overflows and a subnormal result is rounded once.
    let half = n / 2;
    e * power_of_two(half) * power_of_two(n - half)
}

/// 2ⁿ for |n| <= 76.
#[inline]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

/// Odd minimax polynomial of tanh on |x| < 0.625 in powers of x² (coefficients: Cephes tanhf).
const TANH: [f32; 5] = [-5.704_988_7e-3, 2.063_908_9e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328_2e-1];

/// tanh x = sign(x) · (1 − 2/(e^{2|x|} + 1)); near 0 a polynomial, since there the difference would lose digits.
#[inline]
pub fn tanh(x: f32) -> f32 {
    let size = x.abs();
    if size < 0.625 {
        let square = x * x;
        return x + x * square * TANH.iter().fold(0.0, |sum, c| sum * square + c);
    }
    if size > 10.0 {
        return 1f32.copysign(x);
    }
    (1.0 - 2.0 / (exp(2.0 * size) + 1.0)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_ulp() {
        for i in -870_000..=887_000 {
            let x = i as f32 * 1e-4;
            let exact = (x as f64).exp();
            let error = (exp(x) as f64 - exact).abs() / exact;
            assert!(error < 2.0 * f32::EPSILON as f64 / 2.0 + 1e-12, "{x}: {error:e}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(1000.0), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(-103.0) > 0.0);
    }

    #[test]
    fn tanh_is_within_three_ulp() {
        for i in -120_000..=120_000 {
            let x = i as f32 * 1e-4;
            let exact = (x as f64).tanh();
            assert!((tanh(x) as f64 - exact).abs() <= 2e-7 * exact.abs(), "{x}");
        }
    }
}
