//! The program in the pause image: it holds namespaces, and does nothing else.
//!
//! A static program of one page, put together here from its machine code, since nothing that a compiler makes is as
//! small, and no compiler for another processor is needed to build for one. It ignores SIGCHLD, so that the kernel
//! itself buries whatever ends in the shared process namespace, of which it is process 1; it takes SIGINT and SIGTERM
//! by waiting for them (process 1 has no default for signals), and ends with 0.
//!
//! In C it would be:
//! ```c
//! struct sigaction ignore = { SIG_IGN };
//! rt_sigaction(SIGCHLD, &ignore, NULL, 8);
//! rt_sigprocmask(SIG_BLOCK, &set, NULL, 8);
//! while (rt_sigtimedwait(&set, NULL, NULL, 8) < 0);
//! exit_group(0);
//! ```

/// Processors that there is a program for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Processor {
    X86_64,
    Arm64,
}

/// The listing of the program beside its bytes. Invariant: 72 bytes, since addresses in it are relative to [`DATA`].
#[rustfmt::skip]
const X86_64: &[&[u8]] = &[
    b"\xb8\x0d\x00\x00\x00",         //        mov eax, 13            rt_sigaction
    b"\xbf\x11\x00\x00\x00",         //        mov edi, 17            SIGCHLD
    b"\x48\x8d\x35\x37\x00\x00\x00", //        lea rsi, [rip+ignore]
    b"\x31\xd2",                     //        xor edx, edx
    b"\x41\xba\x08\x00\x00\x00",     //        mov r10d, 8            bytes in a set of signals
    b"\x0f\x05",                     //        syscall
    b"\xb8\x0e\x00\x00\x00",         //        mov eax, 14            rt_sigprocmask
    b"\x31\xff",                     //        xor edi, edi           SIG_BLOCK
    b"\x48\x8d\x35\x3f\x00\x00\x00", //        lea rsi, [rip+set]
    b"\x0f\x05",                     //        syscall
    b"\xb8\x80\x00\x00\x00",         // again: mov eax, 128           rt_sigtimedwait
    b"\x48\x8d\x3d\x31\x00\x00\x00", //        lea rdi, [rip+set]
    b"\x31\xf6",                     //        xor esi, esi
    b"\x0f\x05",                     //        syscall
    b"\x85\xc0",                     //        test eax, eax
    b"\x78\xec",                     //        js again               interrupted by another signal
    b"\xb8\xe7\x00\x00\x00",         //        mov eax, 231           exit_group
    b"\x31\xff",                     //        xor edi, edi
    b"\x0f\x05",                     //        syscall
];

/// The same, each instruction a little-endian word.
#[rustfmt::skip]
const ARM64: &[u32] = &[
    0xd280_10c8, //        mov x8, #134           rt_sigaction
    0xd280_0220, //        mov x0, #17            SIGCHLD
    0x1000_0201, //        adr x1, ignore
    0xd280_0002, //        mov x2, #0
    0xd280_0103, //        mov x3, #8             bytes in a set of signals
    0xd400_0001, //        svc #0
    0xd280_10e8, //        mov x8, #135           rt_sigprocmask
    0xd280_0000, //        mov x0, #0             SIG_BLOCK
    0x1000_0241, //        adr x1, set
    0xd400_0001, //        svc #0
    0xd280_1128, // again: mov x8, #137           rt_sigtimedwait
    0x1000_01e0, //        adr x0, set
    0xd280_0001, //        mov x1, #0
    0xd400_0001, //        svc #0
    0x37ff_ff80, //        tbnz w0, #31, again    interrupted by another signal
    0xd280_0bc8, //        mov x8, #94            exit_group
    0xd280_0000, //        mov x0, #0
    0xd400_0001, //        svc #0
];

/// What follows the code: the kernel's `struct sigaction` with SIG_IGN, and the set of SIGINT and SIGTERM.
#[rustfmt::skip]
const DATA: [u64; 5] = [
    1, 0, 0, 0,                // ignore: handler, flags, restorer, mask
    1 << (2 - 1) | 1 << (15 - 1), // set
];

/// Where the file is mapped.
const BASE: u64 = 0x40_0000;
/// Pages of 64 KiB are the largest that Linux has on these processors.
const PAGE: u64 = 0x1_0000;
/// The ELF header and two program headers, before the code.
const HEADERS: u64 = 64 + 2 * 56;

impl Processor {
    /// The processor that this agent runs on, which is the Engine's too.
    pub(super) fn current() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// Its name in image configurations.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    fn code(self) -> Vec<u8> {
        match self {
            Self::X86_64 => X86_64.concat(),
            Self::Arm64 => ARM64.iter().flat_map(|word| word.to_le_bytes()).collect(),
        }
    }

    /// The number that ELF has for it.
    const fn elf(self) -> u16 {
        match self {
            Self::X86_64 => 62,
            Self::Arm64 => 183,
        }
    }

    /// The executable file.
    pub(super) fn program(self) -> Vec<u8> {
        let mut body = self.code();
        body.extend(DATA.iter().flat_map(|word| word.to_le_bytes()));
        let size = HEADERS + body.len() as u64;

        let mut file = Vec::new();
        file.extend(b"\x7fELF\x02\x01\x01"); // 64 bits, little-endian, version 1
        file.extend([0; 9]); // System V
        push16(&mut file, &[2, self.elf()]); // executable
        push32(&mut file, &[1]);
        push64(&mut file, &[BASE + HEADERS, 64, 0]); // entry, program headers, no sections
        push32(&mut file, &[0]);
        push16(&mut file, &[64, 56, 2, 64, 0, 0]); // sizes and counts of headers

        push32(&mut file, &[1, 5]); // PT_LOAD, readable and executable
        push64(&mut file, &[0, BASE, BASE, size, size, PAGE]);
        push32(&mut file, &[0x6474_e551, 6]); // PT_GNU_STACK: not executable
        push64(&mut file, &[0, 0, 0, 0, 0, 16]);
        file.extend(body);
        file
    }
}

fn push16(file: &mut Vec<u8>, values: &[u16]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn push32(file: &mut Vec<u8>, values: &[u32]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn push64(file: &mut Vec<u8>, values: &[u64]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}
