//! It fits on a screen: files, functions and lines of the server within the design's sizes.

use crate::{
    Offence, Source, assert_lines, sample,
    sources::line_of,
    words::{is_word_byte, words_of},
};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_COLUMNS_MAX: usize = 100;

pub(crate) fn long_files(source: &Source) -> Vec<Offence> {
    let lines = source.text.lines().count();
    if !source.is_server_rust() || lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![Offence::new(source, 0, format!("{lines} lines; {FILE_LINES_MAX} is the most"))]
}

pub(crate) fn long_lines(source: &Source) -> Vec<Offence> {
    if !source.is_server_rust() {
        return Vec::new();
    }
    let too_long = |(index, line): (usize, &str)| {
        let columns = line.chars().count();
        let reason = format!("{columns} columns; {LINE_COLUMNS_MAX} is the most");
        (columns > LINE_COLUMNS_MAX).then(|| Offence::new(source, index + 1, reason))
    };
    source.text.lines().enumerate().filter_map(too_long).collect()
}

pub(crate) fn long_functions(source: &Source) -> Vec<Offence> {
    if !source.is_server_rust() {
        return Vec::new();
    }
    let code = source.code();
    let mut offences = Vec::new();
    for start in words_of(&code).filter(|(_, word)| *word == "fn").map(|(offset, _)| offset) {
        let Some(name) = name_after(&code, start) else { continue };
        let Some(end) = end_of_function(&code, start) else { continue };
        let first = line_of(&code, start);
        let lines = line_of(&code, end) - first + 1;
        if lines > FUNCTION_LINES_MAX {
            let reason =
                format!("function {name} has {lines} lines; {FUNCTION_LINES_MAX} is the most");
            offences.push(Offence::new(source, first, reason));
        }
    }
    offences
}

/// The name behind an `fn`; a function pointer's type has none.
fn name_after(code: &str, start: usize) -> Option<&str> {
    let rest = code[start + 2..].trim_start();
    let length = rest.bytes().take_while(|byte| is_word_byte(*byte)).count();
    (length > 0).then(|| &rest[..length])
}

/// The offset of the brace that closes the body; `None` for a declaration without body.
fn end_of_function(code: &str, start: usize) -> Option<usize> {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'{' => braces += 1,
            b'}' => {
                braces = braces.checked_sub(1)?;
                if braces == 0 && brackets == 0 {
                    return Some(offset);
                }
            }
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets = brackets.checked_sub(1)?,
            b';' if braces == 0 && brackets == 0 => return None,
            _ => {}
        }
    }
    None
}

#[test]
fn a_long_file_is_found() {
    let text = "// a\n".repeat(FILE_LINES_MAX);
    assert_lines(long_files, &sample("src/a/b.rs", &text), &[]);
    let over = text + "// b\n";
    assert_lines(long_files, &sample("src/a/b.rs", &over), &[0]);
    assert_lines(long_files, &sample("tests/b.rs", &over), &[]);
}

#[test]
fn a_long_line_is_found() {
    let fits = format!("// {}\n", "ä".repeat(LINE_COLUMNS_MAX - 3));
    assert_lines(long_lines, &sample("src/a.rs", &fits), &[]);
    let over = format!("{fits}// {}\n", "x".repeat(LINE_COLUMNS_MAX - 2));
    assert_lines(long_lines, &sample("src/a.rs", &over), &[2]);
}

#[test]
fn a_long_function_is_found() {
    let function = |lines: usize| {
        let body = "    let b = \"}\"; // }\n".repeat(lines - 2);
        format!("//! c\n\nfn long(a: [u8; 2]) {{\n{body}}}\n")
    };
    assert_lines(long_functions, &sample("src/a.rs", &function(FUNCTION_LINES_MAX)), &[]);
    assert_lines(long_functions, &sample("src/a.rs", &function(FUNCTION_LINES_MAX + 1)), &[3]);
    let nested = format!("fn outer() {{\n{}}}\n", function(FUNCTION_LINES_MAX));
    assert_lines(long_functions, &sample("src/a.rs", &nested), &[1]);
    let declared = format!("trait A {{ fn b(f: fn(u8)); }}\n{}", "// c\n".repeat(100));
    assert_lines(long_functions, &sample("src/a.rs", &declared), &[]);
}
