//! The steps with the log.

use super::{Held, Line, Tour};

impl Tour<'_> {
    pub(super) async fn verified_log(&self, lines: &mut Vec<Line>) -> Held {
        let verified = self.scene.log().verify().await?;
        lines.push(Line::Logged(verified.to_string()));
        verified.is_whole()?;
        Ok("Every record is in its place, up to the last signed checkpoint.".to_owned())
    }

    pub(super) async fn changed_byte(&self, lines: &mut Vec<Line>) -> Held {
        let change = self.scene.log().change_a_copy()?;
        lines.push(Line::Logged(format!("a copy, with {}", change.what)));
        lines.push(Line::Logged(format!("verifier: {}", change.finding)));
        change.names_the_record()?;
        Ok("The verifier names the record that was changed.".to_owned())
    }
}
