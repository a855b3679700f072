//! Which decode targets are still sent, written into a descriptor as it passes: appendix A.8.2's
//! `active_decode_targets_bitmask`.

use super::{BYTES_MAX, Extended, MANDATORY_BYTES, Structure};
use crate::wire::bits::{BitReader, BitWriter};

const MANDATORY_BITS: usize = 8 * MANDATORY_BYTES;
/// Bits of the flags that begin the extended part, and of them what says that a mask follows.
const FLAG_BITS: usize = 5;
const MASK_FLAG: u32 = 0b01000;

/// The decode targets a receiver is still sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask {
    /// A bit for each target, the lowest for target 0.
    pub active: u32,
    /// How many targets there are, 1..=32.
    pub targets: u8,
}

impl Mask {
    /// The targets that need no layer above these.
    pub fn within(structure: &Structure, spatial: u8, temporal: u8) -> Mask {
        let within = |target: usize| {
            let layer = structure.decode_targets[target];
            u32::from(layer.spatial <= spatial && layer.temporal <= temporal) << target
        };
        let targets = structure.decode_targets.len().clamp(1, 32);
        Mask { active: (0..targets.min(structure.decode_targets.len())).map(within).sum(), targets: targets as u8 }
    }

    pub fn is_all(&self) -> bool {
        self.active == u32::MAX >> (32 - self.targets.clamp(1, 32))
    }

    /// Writes the descriptor with this mask to the front of `out` and returns its length. `None` if it cannot be read or
    /// would be too long: it is then better left as it is.
    ///
    /// # Cost
    /// No allocation, except for a descriptor that brings a structure; each bit is moved.
    pub fn write(&self, descriptor: &[u8], out: &mut [u8; BYTES_MAX]) -> Option<usize> {
        let (mut from, mut to) = (BitReader::new(descriptor), BitWriter::new(out));
        copy(&mut from, &mut to, MANDATORY_BITS)?;
        if descriptor.len() == MANDATORY_BYTES {
            to.bits(MASK_FLAG, FLAG_BITS as u32)?;
            to.bits(self.active, u32::from(self.targets))?;
            return Some(to.bytes());
        }
        let (at, replaces) = self.place(descriptor)?;
        to.bits(from.bits(FLAG_BITS as u32)? | MASK_FLAG, FLAG_BITS as u32)?;
        copy(&mut from, &mut to, at - MANDATORY_BITS - FLAG_BITS)?;
        to.bits(self.active, u32::from(self.targets))?;
        if replaces {
            from.bits(u32::from(self.targets))?;
        }
        let rest = 8 * descriptor.len() - from.position();
        copy(&mut from, &mut to, rest)?;
        Some(to.bytes())
    }

    /// Bits in front of the mask, and whether there is one. `None` if the descriptor brings other targets.
    fn place(&self, descriptor: &[u8]) -> Option<(usize, bool)> {
        let mut bits = BitReader::new(descriptor.get(MANDATORY_BYTES..)?);
        let extended = Extended::read(&mut bits)?;
        if extended.structure && Structure::read(&mut bits)?.decode_targets.len() != usize::from(self.targets) {
            return None;
        }
        Some((MANDATORY_BITS + bits.position(), extended.active_decode_targets))
    }
}

fn copy(from: &mut BitReader<'_>, to: &mut BitWriter<'_>, bits: usize) -> Option<()> {
    (0..bits).try_for_each(|_| to.bit(from.bit()?))
}
