use super::log::SERVICE;
use super::stage::{Stage, switching_log};
use super::{places, run};
use crate::actors::service::check_outputs;
use crate::actors::service::machine::Emitted;
use crate::actors::service::reference::expected_outputs;

#[test]
fn the_log_must_hold_what_one_machine_computes() {
    let (mut log, emitted) = switching_log();
    log.outputs(&emitted);
    let mut stage = Stage::new();
    stage.commit(&log);
    assert_eq!(check_outputs(&stage.log, &stage.rules, SERVICE), Ok(()));
    let listed = expected_outputs(SERVICE, log.frames()).expect("nothing is wrong");
    let found: Vec<_> = listed.iter().map(|it| (it.0, it.1, it.2, it.4)).collect();
    let wanted: Vec<_> = places(&emitted).iter().map(|it| (it.0, it.1, it.2, it.4)).collect();
    assert_eq!(found, wanted);

    let mut other = emitted.clone();
    other[1].payload.push(0);
    let mut more = emitted.clone();
    more.push(Emitted { k: 2, ..emitted[6].clone() });
    for wrong in [&other[..], &emitted[..5], &more[..]] {
        let (mut log, _) = switching_log();
        log.outputs(wrong);
        // What is missing is not just on its way.
        log.messages((100..160).map(|index| 3 * index));
        let mut stage = Stage::new();
        stage.commit(&log);
        let (rule, _) = check_outputs(&stage.log, &stage.rules, SERVICE).expect_err("it is wrong");
        assert_eq!(rule, "11. every output is in the log, once");
    }
}

#[test]
fn what_replicas_say_of_their_state_is_compared() {
    let (mut log, _) = switching_log();
    let (machine, _) = run(&log, &[]);
    let (epoch, k) = machine.current().expect("it is registered");
    log.progress(epoch, machine.applied, k, machine.digest);
    assert!(expected_outputs(SERVICE, log.frames()).is_ok());
    let mut wrong = log.clone();
    wrong.progress(epoch, machine.applied, k, machine.digest ^ 1);
    let (rule, _) = expected_outputs(SERVICE, wrong.frames()).expect_err("the digest is another");
    assert_eq!(rule, "progress is what the log makes of a service");
    log.progress(epoch, machine.applied, k + 1, machine.digest);
    expected_outputs(SERVICE, log.frames()).expect_err("so many outputs there are not");
}
