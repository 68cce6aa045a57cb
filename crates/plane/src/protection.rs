//! Protection of tasks against scale-in (spec 10 §8.1).

use wire::ecs::{self, EpochSeconds, ProtectedTask, TaskProtectionResponse};

use crate::Plane;
use crate::error::Fault;
use crate::instance::missing;
use crate::rows::Table;

const DEFAULT_MINUTES: i64 = 120;
const MINUTES_MAX: i64 = 2880;

impl Plane {
    pub(crate) fn get_task_protection(
        &self,
        now: EpochSeconds,
        request: &ecs::GetTaskProtectionRequest,
    ) -> Result<TaskProtectionResponse, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        let mut response = TaskProtectionResponse::default();
        for named in request.tasks.iter().flatten() {
            let arn = self.task_named(&cluster, named);
            match self.tasks.get(&arn) {
                Some(task) if !task.is_stopped() => {
                    response.protected_tasks.push(protected(arn, task.protected_until, now));
                }
                _ => response.failures.push(missing(arn)),
            }
        }
        Ok(response)
    }

    pub(crate) fn update_task_protection(
        &mut self,
        now: EpochSeconds,
        request: &ecs::UpdateTaskProtectionRequest,
    ) -> Result<TaskProtectionResponse, Fault> {
        let cluster = self.active_cluster(request.cluster.as_deref())?;
        if request.tasks.is_empty() || request.tasks.len() > 10 {
            return Err(Fault::parameter("Between 1 and 10 tasks can be protected at once."));
        }
        let minutes = request.expires_in_minutes.unwrap_or(DEFAULT_MINUTES);
        if !(1..=MINUTES_MAX).contains(&minutes) {
            return Err(Fault::parameter(format!("expiresInMinutes must be between 1 and {MINUTES_MAX}.")));
        }
        let until = EpochSeconds::from_millis(now.as_millis() + minutes * 60_000);
        let mut response = TaskProtectionResponse::default();
        for named in &request.tasks {
            let arn = self.task_named(&cluster, named);
            match self.tasks.get_mut(&arn) {
                Some(task) if !task.is_stopped() => {
                    task.protected_until = request.protection_enabled.then_some(until);
                    let answer = protected(arn.clone(), task.protected_until, now);
                    response.protected_tasks.push(answer);
                    self.touch(Table::Task, &arn);
                }
                _ => response.failures.push(missing(arn)),
            }
        }
        Ok(response)
    }
}

fn protected(arn: String, until: Option<EpochSeconds>, now: EpochSeconds) -> ProtectedTask {
    let until = until.filter(|until| *until > now);
    ProtectedTask { task_arn: Some(arn), protection_enabled: until.is_some(), expiration_date: until }
}
