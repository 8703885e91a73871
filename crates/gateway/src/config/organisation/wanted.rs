//! A file as the directory is asked for it: what the directory takes as it is, and what it knows by other names.

use std::path::Path;

use gatewright_core::{
    Group, Timestamp,
    access::{Grant, Grantee, Scope},
};
use gatewright_directory::{
    apply::{WantedGrant, WantedHolder, WantedOver, WantedServer, WantedSettings, WantedTenant},
    model::{Identity, Issuer, VirtualServer},
};
use serde_json::{Map, Value};

use super::{forms::BundleForm, reader::Reader};
use crate::config::document::{Item, Table};

impl<'t> Reader<'_, 't> {
    /// What a file says of the tenant itself.
    pub(super) fn wanted_settings(&mut self, table: &mut Table<'_, 't>) -> WantedTenant {
        let title: Option<Item<'_, '_, String>> = table.take("title", self.problems);
        let mut flag = |key| {
            let item: Option<Item<'_, '_, bool>> = table.take(key, self.problems);
            item.map(|item| item.value)
        };
        WantedTenant {
            settings: WantedSettings {
                disabled: flag("disabled"),
                create_people_on_sight: flag("create_people_on_sight"),
                api_keys_for_people: flag("api_keys_for_people"),
                title: title.map(|item| item.value),
            },
            ..WantedTenant::default()
        }
    }

    /// Issuers, servers and bundles as they stand in the file, with paths that are good everywhere. What is wrong with them
    /// was noted.
    pub(super) fn wanted_documents(
        &mut self,
        table: &mut Table<'_, 't>,
        wanted: &mut WantedTenant,
    ) {
        for item in table.list::<Issuer>("issuers", self.problems) {
            wanted.issuers.push(item.value);
        }
        for item in table.list::<Map<String, Value>>("servers", self.problems) {
            let mut settings = item.value;
            let name = settings.remove("name");
            let disabled = settings
                .remove("disabled")
                .and_then(|value| value.as_bool());
            for (key, or_name) in [("command", true), ("cwd", false)] {
                if let Some(Value::String(path)) = settings.get_mut(key)
                    && !(or_name && is_name(path))
                {
                    *path = self.beside(Path::new(path)).display().to_string();
                }
            }
            if let Some(Value::String(name)) = name {
                let server = WantedServer { disabled, settings };
                wanted.servers.insert(name, server);
            }
        }
        for item in table.list::<BundleForm>("virtual_servers", self.problems) {
            let BundleForm { name, title, parts } = item.value;
            let bundle = VirtualServer { title, parts };
            wanted.virtual_servers.insert(name, bundle);
        }
    }
}

/// A program that is looked for, and no path to one.
fn is_name(command: &str) -> bool {
    !command.contains('/')
}

pub(super) fn grant(grant: &Grant) -> WantedGrant {
    WantedGrant {
        role: grant.role.clone(),
        to: match &grant.to {
            Grantee::User(subject) => WantedHolder::User(Identity::from(subject)),
            Grantee::Agent(subject) => WantedHolder::Agent(Identity::from(subject)),
            Grantee::Group(group) => of_group(group),
            // A file names nobody by that.
            Grantee::Account(account) => WantedHolder::Group {
                name: account.to_string(),
            },
        },
        over: grant.over.as_ref().map(|over| match over {
            Scope::Server(server) => WantedOver::Server(server.to_string()),
            Scope::Group(group) => WantedOver::Group(group.name().to_owned()),
        }),
        expires: grant.expires.map(Timestamp::millis),
        reason: grant.reason.clone(),
    }
}

fn of_group(group: &Group) -> WantedHolder {
    let name = group.name().to_owned();
    if group.issuer() == Group::DIRECTORY {
        return WantedHolder::Group { name };
    }
    WantedHolder::ClaimedGroup {
        issuer: group.issuer().to_owned(),
        name,
    }
}
