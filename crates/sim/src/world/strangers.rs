//! Others on the same machine: containers and names of images that are not of any task, and tags that move on.

use engine::Event;
use engine::image::{FullName, ImageRequest};

use super::{Happening, Stop, World};
use crate::workload::Order;

/// Names that tasks use, as far as a registry gives them.
const PUBLISHED: &[&str] = &["registry.test/app:1", "registry.test/app:2", "registry.test/cached:1"];

impl World {
    pub(super) fn someone_acts(&mut self) -> Result<(), Stop> {
        let images: Vec<String> = self.daemon.images.local.keys().cloned().collect();
        let strange: Vec<String> =
            self.daemon.containers.values().filter(|c| c.is_strange()).map(|c| c.id.clone()).collect();
        match self.faults.between(0, 7) {
            0 | 1 => {
                let number = self.faults.between(1, 1_000_000_000);
                let name = *self.faults.pick(PUBLISHED);
                self.note(|| format!("others  publish another {name}"));
                self.daemon.images.move_on(name, number);
            }
            2 | 3 if !images.is_empty() => {
                let image = self.faults.pick(&images).clone();
                self.note(|| format!("others  run a container of {image}"));
                self.daemon.run_stranger(&image, self.moment(), &mut self.ids);
            }
            4 if !strange.is_empty() => {
                let id = self.faults.pick(&strange).clone();
                self.note(|| format!("others  end {}", &id[..12]));
                self.daemon.kill(&id, 0, self.moment());
            }
            5 if !strange.is_empty() => {
                let id = self.faults.pick(&strange).clone();
                self.note(|| format!("others  remove {}", &id[..12]));
                self.daemon.remove(&id);
            }
            6 if !images.is_empty() => {
                let image = self.faults.pick(&images).clone();
                let name = format!("own.test/copy:{}", self.faults.between(1, 3));
                self.note(|| format!("others  call {image} {name}"));
                self.daemon.images.move_tag(&name, &image);
                self.daemon.images.named_by_hand.insert(name);
                // From now on it is theirs to remove as well.
                self.daemon.images.pulled.remove(&image);
            }
            _ => return self.ask_about_images(),
        }
        Ok(())
    }

    /// While an image is being removed somebody may run another task like one that used it.
    pub(super) fn is_wanted_again(&mut self, image: &str) -> bool {
        if self.races == 0 || self.now > self.calm_at {
            return false;
        }
        let name = FullName::of(image);
        let uses_it =
            |order: &&Order| order.task.containers.iter().flatten().any(|c| FullName::of(c.image.as_str()) == name);
        let Some(order) = self.service.orders.iter().find(uses_it) else { return false };
        let number = self.service.orders.len();
        let order = order.again(&format!("{number}{}", self.more.hex(7)), self.now);
        self.races -= 1;
        self.behaviors.extend(order.behaviors.iter().map(|(name, b)| ((order.arn.clone(), name.clone()), b.clone())));
        self.service.orders.push(order);
        let at = self.now + self.more.millis(0, 50);
        self.put(at, Happening::Order(number));
        true
    }

    fn ask_about_images(&mut self) -> Result<(), Stop> {
        if self.engine.is_none() {
            return Ok(());
        }
        let request = self.oracle.asked(self.life, self.now);
        let ask = match self.faults.between(0, 2) {
            0 => ImageRequest::Describe,
            kind => ImageRequest::Collect(engine::image::cleanup::Options {
                is_dry_run: kind == 1,
                ignores_age: self.faults.chance(0.5),
            }),
        };
        self.tell(Event::Images { request, ask })
    }
}
