//! News for open pages.

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::broadcast::{self, error::RecvError};

use delta_ports::board_api::News;

/// News that a page may be behind with before it is told to look at everything.
const BEHIND: usize = 256;

/// Tells whoever listens what has changed. Telling never waits.
#[derive(Debug)]
pub(crate) struct NewsDesk(broadcast::Sender<News>);

impl Default for NewsDesk {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }
}

impl NewsDesk {
    /// Tells everybody who listens now.
    pub(crate) fn tell(&self, news: News) {
        // An error means that nobody listens.
        drop(self.0.send(news));
    }

    /// What is told from now on.
    pub(super) fn listen(&self) -> BoxStream<'static, News> {
        stream::unfold(self.0.subscribe(), |mut news| async move {
            match news.recv().await {
                Ok(told) => Some((told, news)),
                Err(RecvError::Lagged(_)) => Some((News::Everything, news)),
                Err(RecvError::Closed) => None,
            }
        })
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_behind_is_told_to_look_at_everything() {
        let desk = NewsDesk::default();
        let mut news = desk.listen();
        desk.tell(News::Task(1));
        assert_eq!(news.next().await, Some(News::Task(1)));
        for id in 0..1000 {
            desk.tell(News::Progress(id));
        }
        assert_eq!(news.next().await, Some(News::Everything));
        assert!(matches!(news.next().await, Some(News::Progress(_))));
        drop(desk);
    }
}
