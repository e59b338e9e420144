//! What a run prints.

use crate::seeds::Totals;

/// Prints how often each thing happened, each failing seed with the command that replays it, and the figure.
pub fn print_report(totals: &Totals) {
    println!("what happened in {} seeds:", totals.seeds);
    for (name, count) in totals.stats.iter() {
        println!("  {count:>12}  {name}");
    }
    for outcome in totals.failures.iter().take(20) {
        if let Some(violation) = &outcome.violation {
            println!("seed {} breaks a rule: {violation}", outcome.seed);
            println!("  replay it with: make replay SEED={}", outcome.seed);
        }
    }
    let seconds = totals.elapsed.as_secs_f64();
    println!(
        "{} seeds, {} violations, {:.1} s, {:.1} seeds/s",
        totals.seeds,
        totals.failures.len(),
        seconds,
        totals.seeds as f64 / seconds.max(1e-9)
    );
}
