//! What plans asked for: what is being looked up, what is known, what is to be tried again.

use super::key::ParentKey;
use crate::core::want::{Answer, Want};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What was asked for, and what is known of it. Of what no plan asks for any more nothing is kept.
#[derive(Debug)]
pub struct Wants {
    asked: HashMap<ParentKey, BTreeMap<Want, State>>,
    queue: mpsc::UnboundedSender<(ParentKey, Want)>,
    to_look_up: Option<Asked>,
}

/// What is to be looked up, and for whom.
pub type Asked = mpsc::UnboundedReceiver<(ParentKey, Want)>;

/// How far one is.
#[derive(Debug)]
pub enum State {
    /// It is being looked up; with what the last look said.
    Open(Answer),
    /// It is known, for good.
    Known(Answer),
    /// The look failed, or found nothing; it is made again from then on.
    Again(Answer, Instant),
}

/// How far the wants of one plan are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Some are being looked up: whoever asked is woken.
    pub open: bool,
    /// When to ask again.
    pub again: Option<Duration>,
}

impl Default for Wants {
    fn default() -> Self {
        let (queue, asked) = mpsc::unbounded_channel();
        Self { asked: HashMap::new(), queue, to_look_up: Some(asked) }
    }
}

impl Wants {
    /// What is to be looked up, for the one task that does.
    pub const fn to_look_up(&mut self) -> Option<Asked> {
        self.to_look_up.take()
    }

    /// Asks for what a plan wants and for nothing else of that parent.
    pub fn ask(&mut self, parent: &ParentKey, wants: &[Want]) -> Progress {
        if wants.is_empty() {
            self.asked.remove(parent);
            return Progress::default();
        }
        let asked = self.asked.entry(parent.clone()).or_default();
        asked.retain(|want, _| wants.contains(want));
        let (mut progress, now) = (Progress::default(), Instant::now());
        for want in wants {
            let before = match asked.get(want) {
                Some(State::Known(_)) => continue,
                Some(State::Again(_, at)) if *at > now => {
                    let rest = *at - now;
                    progress.again = Some(progress.again.map_or(rest, |other| other.min(rest)));
                    continue;
                }
                Some(State::Open(_)) => None,
                Some(State::Again(answer, _)) => Some(answer.clone()),
                None => Some(Answer::default()),
            };
            progress.open = true;
            if let Some(before) = before {
                asked.insert(want.clone(), State::Open(before));
                // Whoever receives it lives as long as this process works.
                let _ = self.queue.send((parent.clone(), want.clone()));
            }
        }
        progress
    }

    /// What is known for a parent.
    pub fn answers(&self, parent: &ParentKey) -> BTreeMap<Want, Answer> {
        let asked = self.asked.get(parent).into_iter().flatten();
        asked
            .map(|(want, state)| {
                let (State::Open(answer) | State::Known(answer) | State::Again(answer, _)) = state;
                (want.clone(), answer.clone())
            })
            .collect()
    }

    /// Takes in how a look ended; whether anybody still asks.
    pub fn take(&mut self, parent: &ParentKey, want: &Want, state: Option<State>) -> bool {
        let Some(asked) = self.asked.get_mut(parent) else { return false };
        match (asked.get_mut(want), state) {
            (Some(open), Some(state)) => {
                *open = state;
                true
            }
            (Some(_), None) => asked.remove(want).is_none(),
            (None, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Duration, Instant, Progress, State, Want, Wants};
    use crate::core::kind::ParentKind;
    use crate::core::known::Known;
    use crate::core::revisions::Parts;
    use crate::shell::key::{Key, ParentKey};
    use serde_json::json;
    use std::sync::Arc;

    const AGAIN: Duration = Duration::from_secs(10);

    fn want(name: &str) -> Want {
        Want::Template { replica_set: name.into(), parts: Parts::of(&json!({}), "web") }
    }

    /// What is open is not asked for twice, what is known not again, what failed only later; what nobody wants is forgotten.
    #[tokio::test(start_paused = true)]
    async fn each_want_is_looked_up_once_until_it_fails() {
        let mut wants = Wants::default();
        let mut asked = wants.to_look_up().unwrap();
        let parent = ParentKey::new(ParentKind::App, Key::new("shop", "web"));
        let (open, rest) = (Progress { open: true, again: None }, Progress::default());
        let (one, two) = (want("web-1"), want("web-2"));
        let both = [one.clone(), two.clone()];
        assert_eq!((wants.ask(&parent, &both), wants.ask(&parent, &both)), (open, open));
        assert_eq!((asked.try_recv().unwrap().1, asked.try_recv().unwrap().1), (one.clone(), two.clone()));
        assert!(asked.try_recv().is_err());
        let late = Answer { found: Known::Unknown, trouble: Some("late".into()) };
        let known = Answer { found: Known::Known(Arc::new(json!(1))), trouble: None };
        assert!(wants.take(&parent, &one, Some(State::Known(known.clone()))));
        assert!(wants.take(&parent, &two, Some(State::Again(late, Instant::now() + AGAIN))));
        assert_eq!(wants.ask(&parent, &both), Progress { open: false, again: Some(AGAIN) });
        tokio::time::advance(AGAIN).await;
        assert_eq!(wants.ask(&parent, &both), open);
        assert_eq!(asked.try_recv().unwrap().1, two);
        assert_eq!(wants.answers(&parent)[&two].trouble.as_deref(), Some("late"), "it stays told meanwhile");
        assert_eq!(wants.answers(&parent)[&one], known);
        assert_eq!(wants.ask(&parent, std::slice::from_ref(&one)), rest);
        assert!(!wants.take(&parent, &two, Some(State::Known(known))), "nobody asks any more");
        assert_eq!((wants.ask(&parent, &[]), wants.answers(&parent).len()), (rest, 0));
    }
}
