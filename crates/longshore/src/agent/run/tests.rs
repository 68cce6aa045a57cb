//! What goes out while the store takes nothing.

use super::*;

fn effects() -> Vec<(EffectId, Effect)> {
    let deadline = Duration::from_secs(1);
    let list = |id, effect| (EffectId(id), effect);
    vec![
        list(1, Effect::Ping { deadline }),
        list(
            2,
            Effect::CreateVolume {
                name: "v".into(),
                driver: "local".into(),
                options: BTreeMap::default(),
                labels: BTreeMap::default(),
                deadline,
            },
        ),
        list(3, Effect::StopContainer { id: "c".into(), seconds: 1, deadline }),
        list(4, Effect::SubmitTask { request: Box::default(), deadline }),
    ]
}

fn numbers(effects: &[(EffectId, Effect)]) -> Vec<u64> {
    effects.iter().map(|(id, _)| id.0).collect()
}

#[test]
fn what_a_crash_would_lose_waits_for_the_store() {
    let mut ledger = Ledger::new(None);
    ledger.owed.insert(("task_state", "0f".to_owned()), None);
    assert_eq!(numbers(&ledger.let_out(effects())), [1, 3]);
    assert!(ledger.let_out(Vec::new()).is_empty());
    ledger.owed.clear();
    let later = vec![(EffectId(5), Effect::Ping { deadline: Duration::from_secs(1) })];
    assert_eq!(numbers(&ledger.let_out(later)), [2, 4, 5], "in the order in which they were asked for");
}
