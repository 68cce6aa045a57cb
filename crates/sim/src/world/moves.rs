//! Beginnings of the agent's process: on the machine it knows, on another one, and with another cluster configured.

use engine::{Engine, Event};

use super::{Happening, Stop, World};

impl World {
    pub(super) fn boot(&mut self) -> Result<(), Stop> {
        if self.engine.is_some() {
            return Ok(());
        }
        self.lives += 1;
        self.life_began = self.now;
        let mut config = self.config.clone();
        let of_machine = self.store.get("meta", "ec2-instance-id");
        // Nothing of it holds here, its cluster neither; and without metadata nobody could tell.
        let is_foreign = of_machine.is_some() && of_machine != self.config.host.ec2_instance_id.as_deref();
        let is_known = !is_foreign && self.store.get("meta", "cluster-name").is_some();
        let moves = if self.is_calm { 0.0 } else { self.profile.moves };
        if is_known && self.crashes.chance(moves) {
            self.driver.is_misconfigured = true;
            config.cluster = "elsewhere".into();
            self.note(|| "fault   another cluster is configured".into());
        } else if self.store.get("meta", "ec2-instance-id").is_some() && self.crashes.chance(moves * 0.3) {
            self.become_another_machine();
            config.host.ec2_instance_id.clone_from(&self.config.host.ec2_instance_id);
        } else if !is_foreign && self.crashes.chance(moves) {
            // Metadata does not answer: it is the machine that it was.
            config.host.ec2_instance_id = None;
        }
        self.note(|| "agent   begins".into());
        let (is_misconfigured, rows) = (self.driver.is_misconfigured, self.store.rows());
        let seed = self.crashes.number();
        self.engine = Some(Engine::new(config, seed, rows));
        if let Some(engine) = &self.engine
            && let Some(task) = engine.tasks().values().find(|task| self.service.is_lost(task.arn().as_str()))
        {
            return Err(format!("task {} of another machine was taken up", task.id()));
        }
        let rows_before = self.oracle.rows;
        self.tell(Event::Start)?;
        if is_misconfigured && (self.engine.is_some() || self.oracle.rows > rows_before) {
            return Err("the agent began with another cluster than its state is of".into());
        }
        Ok(())
    }

    /// A machine that is made of this one's image begins in its place.
    fn become_another_machine(&mut self) {
        self.machine += 1;
        let id = format!("i-{}", self.machine);
        self.note(|| format!("fault   this is another machine, {id}"));
        self.config.host.ec2_instance_id = Some(id);
        self.heap.retain(|_, what| !matches!(what, Happening::Apply { .. } | Happening::Container(_)));
        self.daemon.become_another(self.moment());
        self.daemon.images.pulled.clear();
        self.host.cgroups.clear();
        self.service.begin_anew(self.machine);
    }
}
