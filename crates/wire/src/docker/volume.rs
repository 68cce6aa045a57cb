//! Docker volumes.

use std::collections::BTreeMap;

use super::lenient::reply;

reply! {
    /// One volume.
    pub struct Volume {
        "Name" => name: String,
        "Driver" => driver: String,
        "Mountpoint" => mountpoint: String,
        "CreatedAt" => created_at: Option<jiff::Timestamp>,
        "Labels" => labels: BTreeMap<String, String>,
        "Options" => options: BTreeMap<String, String>,
        "Scope" => scope: String,
    }

    /// `GET /volumes`.
    pub struct VolumeList {
        "Volumes" => volumes: Vec<Volume>,
        "Warnings" => warnings: Vec<String>,
    }

    /// Request of `POST /volumes/create`.
    pub struct VolumeCreate {
        "Name" => name: String,
        "Driver" => driver: String,
        "DriverOpts" => driver_opts: BTreeMap<String, String>,
        "Labels" => labels: BTreeMap<String, String>,
    }
}
