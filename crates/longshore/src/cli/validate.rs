//! `longshore validate`: what is wrong with a file, and whether this machine could run it.

mod placement;

#[cfg(test)]
mod tests;

use serde_json::json;

use super::definition::DefinitionFile;
use super::text::{self, Paint};
use super::{Failure, Global, ValidateArgs};
use placement::Check;

pub(super) async fn execute(global: &Global, args: &ValidateArgs) -> Result<u8, Failure> {
    let file = DefinitionFile::read(&args.file)?;
    let problems = file.problems();
    let is_valid = problems.is_empty();
    if !global.json {
        let paint = Paint::stdout();
        for problem in &problems {
            println!("{problem}");
        }
        let found =
            if is_valid { paint.good("no problems") } else { paint.bad(&text::count(problems.len(), "problem")) };
        println!("{}: {found}", file.name);
    }
    // What is not understood cannot be placed either.
    let checks = match args.offline || !is_valid {
        true => None,
        false => Some(placement::look(global, &file).await?),
    };
    let fits = checks.as_ref().is_none_or(|checks| checks.iter().all(|check| check.is_fine));
    if global.json {
        let placement = checks.map(|checks| json!({"fits": fits, "checks": checks}));
        println!("{}", json!({"file": file.name, "problems": problems, "placement": placement}));
    } else if let Some(checks) = checks {
        print!("{}", render(&checks, Paint::stdout()));
    }
    Ok(u8::from(!(is_valid && fits)))
}

/// The answer, one line per check.
pub(super) fn render(checks: &[Check], paint: Paint) -> String {
    let fits = checks.iter().all(|check| check.is_fine);
    let mut out = match fits {
        true => format!("{}:\n", paint.good("can be placed here")),
        false => format!("{}:\n", paint.bad("cannot be placed here")),
    };
    for Check { subject, is_fine, detail } in checks {
        let mark = if *is_fine { paint.good("ok") } else { paint.bad("no") };
        out.push_str(&format!("  {mark}  {subject:<10} {detail}\n"));
    }
    out
}
