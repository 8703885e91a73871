use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::Role;

/// How long a chain of roles may be, from one that inherits to the last that it has something of.
const DEEPEST: usize = 16;
/// How many roles one may inherit from directly.
const MOST_PARENTS: usize = 64;

/// Which roles each role has the permissions of: its own, and those of every role that it inherits from.
#[derive(Clone, Debug, Default)]
pub struct Inheritance(HashMap<Arc<str>, Arc<[Arc<str>]>>);

/// Why roles cannot inherit as they say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InheritanceError {
    /// A role inherits from one that there is none of.
    #[error("the role `{role}` inherits from `{parent}`, which is not defined")]
    Unknown {
        /// Which role.
        role: String,
        /// From which.
        parent: String,
    },
    /// A role inherits from itself, by others or directly.
    #[error("the role `{role}` inherits from itself: {}", path.join(" → "))]
    Circle {
        /// Which role.
        role: String,
        /// The way round.
        path: Vec<String>,
    },
    /// The chain is too long.
    #[error(
        "the role `{role}` inherits over more than {DEEPEST} roles in a row: flatten some of them"
    )]
    TooDeep {
        /// Which role.
        role: String,
    },
    /// Too many at once.
    #[error(
        "the role `{role}` inherits from more than {MOST_PARENTS} roles directly: join some of them"
    )]
    TooMany {
        /// Which role.
        role: String,
    },
}

impl InheritanceError {
    /// The role that is wrong.
    #[must_use]
    pub fn role(&self) -> &str {
        match self {
            Self::Unknown { role, .. }
            | Self::Circle { role, .. }
            | Self::TooDeep { role }
            | Self::TooMany { role } => role,
        }
    }
}

impl Inheritance {
    /// What these roles inherit from each other; of two with one name the first counts.
    ///
    /// # Errors
    /// [`InheritanceError`] names the role that inherits from itself, from one that there is none of, or from too many.
    pub fn of<'a>(roles: impl IntoIterator<Item = &'a Role>) -> Result<Self, InheritanceError> {
        let mut by_name: HashMap<&str, &Role> = HashMap::new();
        for role in roles {
            by_name.entry(&role.name).or_insert(role);
        }
        let mut walk = Walk {
            roles: &by_name,
            done: HashMap::with_capacity(by_name.len()),
            path: Vec::new(),
        };
        for name in by_name.keys() {
            walk.visit(name)?;
        }
        let all = walk.done.into_iter();
        Ok(Self(
            all.map(|(name, done)| (Arc::from(name), done.all))
                .collect(),
        ))
    }

    /// The role itself, and then every role that it has the permissions of. Empty when there is no such role.
    #[must_use]
    pub fn all(&self, role: &str) -> Arc<[Arc<str>]> {
        self.0.get(role).cloned().unwrap_or_default()
    }

    /// Whether there is such a role.
    #[must_use]
    pub fn knows(&self, role: &str) -> bool {
        self.0.contains_key(role)
    }
}

struct Walk<'a> {
    roles: &'a HashMap<&'a str, &'a Role>,
    done: HashMap<&'a str, Done>,
    /// Never longer than the deepest chain, so neither is the recursion.
    path: Vec<&'a str>,
}

#[derive(Clone)]
struct Done {
    depth: usize,
    all: Arc<[Arc<str>]>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, name: &'a str) -> Result<Done, InheritanceError> {
        if let Some(done) = self.done.get(name) {
            return Ok(done.clone());
        }
        let role = || name.to_owned();
        if let Some(start) = self.path.iter().position(|on_path| *on_path == name) {
            let circle = self.path.iter().skip(start).chain([&name]);
            return Err(InheritanceError::Circle {
                role: role(),
                path: circle.map(|name| (*name).to_owned()).collect(),
            });
        }
        if self.path.len() > DEEPEST {
            return Err(InheritanceError::TooDeep { role: role() });
        }
        let parents = self
            .roles
            .get(name)
            .map_or(&[] as &[String], |role| &role.inherits);
        if parents.len() > MOST_PARENTS {
            return Err(InheritanceError::TooMany { role: role() });
        }
        let (mut depth, mut all, mut seen) = (0, vec![Arc::from(name)], HashSet::new());
        self.path.push(name);
        for parent in parents {
            let Some((parent, _)) = self.roles.get_key_value(parent.as_str()) else {
                return Err(InheritanceError::Unknown {
                    role: role(),
                    parent: parent.clone(),
                });
            };
            let above = self.visit(parent)?;
            depth = depth.max(above.depth + 1);
            let new = above
                .all
                .iter()
                .filter(|name| seen.insert(Arc::clone(name)));
            all.extend(new.cloned());
        }
        self.path.pop();
        if depth > DEEPEST {
            return Err(InheritanceError::TooDeep { role: role() });
        }
        let done = Done {
            depth,
            all: all.into(),
        };
        self.done.insert(name, done.clone());
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, inherits: &[&str]) -> Role {
        Role {
            inherits: inherits.iter().map(|name| (*name).to_owned()).collect(),
            ..Role::new(name)
        }
    }

    fn names(inheritance: &Inheritance, role: &str) -> Vec<String> {
        let all = inheritance.all(role);
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_role_has_those_above_it_once() {
        let roles = [
            role("d", &["b", "c"]),
            role("b", &["a"]),
            role("c", &["a"]),
            role("a", &[]),
        ];
        let all = Inheritance::of(&roles).unwrap();
        assert_eq!(names(&all, "d"), ["d", "b", "a", "c"]);
        assert_eq!(names(&all, "a"), ["a"]);
        assert!(names(&all, "nosuch").is_empty() && !all.knows("nosuch") && all.knows("c"));
    }

    #[test]
    fn circles_are_refused_however_long() {
        let itself = Inheritance::of(&[role("a", &["a"])]).unwrap_err();
        assert_eq!(
            itself.to_string(),
            "the role `a` inherits from itself: a → a"
        );
        for length in [2, 3, 15] {
            let roles: Vec<Role> = (0..length)
                .map(|n| role(&n.to_string(), &[&((n + 1) % length).to_string()]))
                .collect();
            let error = Inheritance::of(&roles).unwrap_err();
            let InheritanceError::Circle { path, .. } = error else {
                panic!("{error}")
            };
            assert_eq!(path.len(), length + 1, "{path:?}");
            assert_eq!(path.first(), path.last());
        }
    }

    #[test]
    fn depth_is_bounded_whichever_role_is_looked_at_first() {
        let chain = |length: usize| -> Vec<Role> {
            (0..length)
                .map(|n| match n + 1 == length {
                    true => role(&n.to_string(), &[]),
                    false => role(&n.to_string(), &[&(n + 1).to_string()]),
                })
                .collect()
        };
        for _ in 0..20 {
            assert!(Inheritance::of(&chain(DEEPEST + 1)).is_ok());
            for length in [DEEPEST + 2, 10_000] {
                let error = Inheritance::of(&chain(length)).unwrap_err();
                assert!(matches!(error, InheritanceError::TooDeep { .. }), "{error}");
            }
        }
    }

    #[test]
    fn unknown_and_too_many_parents_are_refused() {
        let error = Inheritance::of(&[role("a", &["b"])]).unwrap_err();
        assert!(matches!(error, InheritanceError::Unknown { .. }));
        assert_eq!(error.role(), "a");
        let many: Vec<String> = (0..=MOST_PARENTS).map(|n| n.to_string()).collect();
        let mut roles: Vec<Role> = many.iter().map(|name| role(name, &[])).collect();
        roles.push(Role {
            inherits: many,
            ..Role::new("all")
        });
        let error = Inheritance::of(&roles).unwrap_err();
        assert!(matches!(error, InheritanceError::TooMany { .. }));
    }

    /// A lattice in which ways double at every step costs what its roles do.
    #[test]
    fn ways_that_double_are_walked_once() {
        let mut roles = Vec::new();
        for level in 0..DEEPEST {
            let parents = [format!("{}a", level + 1), format!("{}b", level + 1)];
            let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
            roles.push(role(&format!("{level}a"), &parents));
            roles.push(role(&format!("{level}b"), &parents));
        }
        roles.push(role(&format!("{DEEPEST}a"), &[]));
        roles.push(role(&format!("{DEEPEST}b"), &[]));
        let all = Inheritance::of(&roles).unwrap();
        assert_eq!(names(&all, "0a").len(), 2 * DEEPEST + 1);
    }
}
