// SPDX-License-Identifier: Apache-2.0
//! The C library's strftime on the local time of now: what Python's datetime.now().strftime stands on.

use std::ffi::CString;

const LONGEST_FORMAT: usize = 1024;

pub fn now(format: &str) -> Result<String, String> {
    if format.len() > LONGEST_FORMAT {
        return Err(format!("strftime_now: the format is longer than {LONGEST_FORMAT} bytes"));
    }
    // A blank ends the format, so that an empty result (0) differs from a buffer too small (also 0).
    let terminated =
        CString::new(format!("{format} ")).map_err(|_| "strftime_now: the format holds a zero byte".to_owned())?;
    let mut text = vec![0u8; 64 * 1024];
    // SAFETY: `parts` is plain data filled by localtime_r; strftime writes at most text.len() bytes.
    let written = unsafe {
        let seconds = libc::time(std::ptr::null_mut());
        let mut parts: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&seconds, &mut parts).is_null() {
            return Err("strftime_now: the clock is out of range".to_owned());
        }
        libc::strftime(text.as_mut_ptr().cast(), text.len(), terminated.as_ptr(), &parts)
    };
    if written == 0 {
        return Err("strftime_now: the result is too long".to_owned());
    }
    text.truncate(written - 1);
    String::from_utf8(text).map_err(|_| "strftime_now: the result is not UTF-8".to_owned())
}
