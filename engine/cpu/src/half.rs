//! f16 and bf16 bit patterns to f32 and back, rounding to nearest even.

/// bf16 -> f32: exact.
#[inline]
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits((bits as u32) << 16)
}

/// f32 -> bf16, to nearest even; overflow gives infinity, NaN stays NaN.
#[inline]
pub fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return ((bits >> 16) as u16) | 0x0040;
    }
    let round = 0x7fff + ((bits >> 16) & 1);
    ((bits + round) >> 16) as u16
}

/// f16 -> f32: exact, subnormal numbers included.
#[inline]
pub fn f16_to_f32(bits: u16) -> f32 {
    let sign = ((bits & 0x8000) as u32) << 16;
    let exponent = (bits >> 10) & 0x1f;
    let fraction = (bits & 0x03ff) as u32;
    match exponent {
        // fraction · 2⁻²⁴ is exact in f32
        0 => f32::from_bits(sign | (fraction as f32 * f32::from_bits(0x3380_0000)).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | (fraction << 13)),
        _ => f32::from_bits(sign | ((exponent as u32 + 112) << 23) | (fraction << 13)),
    }
}

/// f32 -> f16, to nearest even; overflow gives infinity, NaN stays NaN.
#[inline]
pub fn f32_to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00 | ((magnitude >> 13) as u16 & 0x01ff);
    }
    if magnitude >= 0x4780_0000 {
        return sign | 0x7c00;
    }
    if magnitude < 0x3880_0000 {
        // Subnormal: adding 0.5 lets the f32 adder round to multiples of 2⁻²⁴.
        let shifted = f32::from_bits(magnitude) + 0.5;
        return sign | (shifted.to_bits() - 0x3f00_0000) as u16;
    }
    let round = 0x0fff + ((magnitude >> 13) & 1);
    sign | ((magnitude - 0x3800_0000 + round) >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_survives_the_round_trip() {
        for bits in 0..=u16::MAX {
            let (half, brain) = (f16_to_f32(bits), bf16_to_f32(bits));
            assert!(half.is_nan() && f16_to_f32(f32_to_f16(half)).is_nan() || f32_to_f16(half) == bits);
            assert!(brain.is_nan() && bf16_to_f32(f32_to_bf16(brain)).is_nan() || f32_to_bf16(brain) == bits);
        }
    }

    #[test]
    fn midpoints_go_to_even_and_beyond_the_largest_to_infinity() {
        for bits in 0..0x7bffu16 {
            let middle = ((f16_to_f32(bits) as f64 + f16_to_f32(bits + 1) as f64) / 2.0) as f32;
            assert_eq!(f32_to_f16(middle), bits + (bits & 1));
        }
        assert_eq!(f32_to_f16(65519.996), 0x7bff);
        assert_eq!(f32_to_f16(65520.0), 0x7c00);
        assert_eq!(f32_to_bf16(f32::MAX), 0x7f80);
    }
}
