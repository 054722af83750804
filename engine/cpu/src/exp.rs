//! The exponential function in f32, without branches, so that loops over it are vectorised.

use std::f32::consts::LOG2_E;

/// ln 2 in two parts: the first has so few bits that its product with the integer below is exact.
const LN2_HIGH: f32 = 0.693_359_375;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Beyond these the result is infinite or zero all the same.
const LARGEST: f32 = 89.0;
const SMALLEST: f32 = -104.0;
/// 1.5 · 2²³: adding it to a smaller number leaves the nearest integer in the low bits.
const ROUNDER: f32 = 12_582_912.0;

/// eˣ to about 1 ulp. x = n ln 2 + r with |r| <= ln 2 / 2, eˣ = 2ⁿ eʳ, eʳ by its Taylor polynomial of degree 7 (error below 2⁻²⁷).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = if x > LARGEST { LARGEST } else { x };
    let x = if x < SMALLEST { SMALLEST } else { x };
    let rounded = x * LOG2_E + ROUNDER;
    let n = rounded - ROUNDER;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        p = p * r + c;
    }
    let e = 1.0 + (r + r * r * p);
    // Two factors, so that neither overflows and a subnormal result is rounded once.
    let n = (rounded.to_bits() as i32).wrapping_sub(ROUNDER.to_bits() as i32);
    let half = n >> 1;
    e * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// 2ⁿ for |n| <= 76.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
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
            assert!(error < f32::EPSILON as f64, "{x}: {error:e}");
        }
    }

    #[test]
    fn exp_at_its_ends() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(1000.0), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(-103.0) > 0.0);
    }
}
