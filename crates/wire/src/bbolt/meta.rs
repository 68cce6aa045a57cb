//! The two meta pages: which tree is the current one.

use super::page::{u32_at, u64_at};
use super::{BboltError, damaged};

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
/// Before the fields: the page's own head.
const HEAD: usize = 16;
/// Fields from the magic number to the transaction id, which the checksum covers.
const SUMMED: usize = 56;

/// A valid meta page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    /// Invariant: a power of two from 1024 to 65536.
    pub page_size: u32,
    pub root: u64,
    /// The first page number that was never used.
    pub high_water: u64,
    pub txid: u64,
}

/// The valid meta page with the higher transaction id. Commits alternate between the two, and a commit that
/// was cut off leaves the other one good.
pub(super) fn newest(bytes: &[u8]) -> Result<Meta, BboltError> {
    let first = parse(bytes, 0);
    // Where the first one is spoilt, the second is looked for at every page size there is.
    let second = match &first {
        Ok(meta) => parse(bytes, meta.page_size as usize),
        Err(_) => {
            let mut found = Err(BboltError::Foreign);
            for size in (10..=16).map(|power| 1_usize << power) {
                match parse(bytes, size) {
                    Ok(meta) if meta.page_size as usize == size => {
                        found = Ok(meta);
                        break;
                    }
                    Err(error) if found == Err(BboltError::Foreign) => found = Err(error),
                    Ok(_) | Err(_) => {}
                }
            }
            found
        }
    };
    match (first, second) {
        (Ok(first), Ok(second)) if second.page_size == first.page_size && second.txid > first.txid => Ok(second),
        (Ok(first), _) => Ok(first),
        (Err(_), Ok(second)) => Ok(second),
        (Err(BboltError::Foreign), Err(second)) => Err(second),
        (Err(first), Err(_)) => Err(first),
    }
}

fn parse(bytes: &[u8], page: usize) -> Result<Meta, BboltError> {
    let fields = bytes.get(page + HEAD..).unwrap_or_default();
    if u32_at(fields, 0) != Some(MAGIC) {
        return Err(BboltError::Foreign);
    }
    let read = || -> Option<(u32, u32, u64, u64, u64, u64)> {
        let (root, high_water, txid) = (u64_at(fields, 16)?, u64_at(fields, 40)?, u64_at(fields, 48)?);
        Some((u32_at(fields, 4)?, u32_at(fields, 8)?, root, high_water, txid, u64_at(fields, SUMMED)?))
    };
    let cut_off = || damaged("its first page is cut off");
    let (version, page_size, root, high_water, txid, sum) = read().ok_or_else(cut_off)?;
    if fnv1a(fields.get(..SUMMED).ok_or_else(cut_off)?) != sum {
        return Err(damaged("neither of its first two pages has the right checksum"));
    }
    if version != VERSION {
        return Err(BboltError::Version(version));
    }
    if !page_size.is_power_of_two() || !(1024..=65536).contains(&page_size) {
        return Err(damaged(format!("its pages are said to have {page_size} bytes")));
    }
    Ok(Meta { page_size, root, high_water, txid })
}

/// FNV-1a, 64 bits.
pub(super) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
