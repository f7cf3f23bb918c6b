//! What happens on the network: users of all servers talk, come and go, ban each other and change
//! powers, all at once and in bad weather, while clients follow. Then it clears up, and each server
//! says one more thing.

use std::sync::Arc;

use proto::rules::Rules;
use room::{
    RoomError, Submitted,
    create::CreateRoom,
    testing::network::{Network, Node, Weather},
};
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, UserId};
use serde_json::{Map, Value, json, value::to_raw_value};
use tokio::sync::watch;

use crate::deeds::{Deeds, creation};

/// Besides its admin.
const USERS_PER_SERVER: u64 = 2;
const STEPS: usize = 60;

/// A play: the servers, their room, and what was acknowledged.
pub(crate) struct Play {
    pub(crate) network: Arc<Network>,
    pub(crate) room: OwnedRoomId,
    pub(crate) acknowledged: Vec<OwnedEventId>,
    /// How many steps were taken: the time by which clients come and go.
    steps: watch::Sender<usize>,
}

fn user(node: &Node, name: &str) -> OwnedUserId {
    UserId::parse(format!("@{name}:{}", node.name)).unwrap()
}

impl Play {
    /// A public room with an admin of each server in it, who cannot lose their power.
    pub(crate) async fn begin(network: Arc<Network>, rules: &'static Rules) -> Self {
        let nodes = network.nodes();
        let admins = nodes.iter().map(|node| user(node, "admin")).collect::<Vec<_>>();
        let mut request = CreateRoom { version: Some(rules.version()), ..creation(&admins[0]) };
        if rules.privileged_creators() {
            let content = json!({ "additional_creators": admins });
            request.creation_content = Some(to_raw_value(&content).unwrap());
        } else {
            let levels = admins.iter().map(|admin| (admin.to_string(), 100.into()));
            let users = levels.collect::<Map<String, Value>>();
            let content = json!({ "users": users });
            request.power_level_content_override = Some(to_raw_value(&content).unwrap());
        }
        let room = nodes[0].rooms.create(request).await.unwrap();
        let steps = watch::Sender::new(0);
        let play = Self { network: Arc::clone(&network), room, acknowledged: Vec::new(), steps };
        for (node, admin) in nodes.iter().zip(&admins).skip(1) {
            let via = vec![nodes[0].name.clone()];
            play.deeds(node).join(admin, via).await.unwrap();
        }
        play
    }

    /// Where to learn how far the play is.
    pub(crate) fn clock(&self) -> watch::Receiver<usize> {
        self.steps.subscribe()
    }

    fn deeds<'p>(&'p self, node: &'p Node) -> Deeds<'p> {
        Deeds { rooms: &node.rooms, room: &self.room }
    }

    fn roll(&self, bound: u64) -> u64 {
        self.network.random.below(bound)
    }

    fn pick<'n>(&self, nodes: &'n [Node]) -> &'n Node {
        let place = self.roll(u64::try_from(nodes.len()).unwrap());
        &nodes[usize::try_from(place).unwrap()]
    }

    fn somebody(&self, node: &Node) -> OwnedUserId {
        user(node, &format!("user{}", self.roll(USERS_PER_SERVER)))
    }

    /// Something that somebody does somewhere; it may well be refused.
    async fn act(&self) -> Result<Submitted, RoomError> {
        let nodes = self.network.nodes();
        let node = self.pick(nodes);
        let deeds = self.deeds(node);
        let (admin, one) = (user(node, "admin"), self.somebody(node));
        let target = self.somebody(self.pick(nodes));
        let number = self.roll(1_000_000);
        match self.roll(12) {
            0..=2 => {
                let content = json!({ "body": number.to_string() });
                deeds.submit(&one, ("m.room.message", None, content)).await
            }
            3 | 4 => deeds.join(&one, Vec::new()).await,
            5 => node.rooms.leave(deeds.own(&one)).await,
            6 => node.rooms.ban(deeds.other(&admin, &target)).await,
            7 => node.rooms.unban(deeds.other(&admin, &target)).await,
            8 => node.rooms.kick(deeds.other(&one, &target)).await,
            9 => {
                let content = json!({ "name": number.to_string() });
                deeds.submit(&one, ("m.room.name", Some(""), content)).await
            }
            10 => {
                let key = format!("key{}", self.roll(3));
                let content = json!({ "number": number });
                deeds.submit(&one, ("org.example.state", Some(&key), content)).await
            }
            _ => {
                let level = [0, 50, 75][usize::try_from(self.roll(3)).unwrap()];
                set_power(&deeds, &admin, &target, level).await
            }
        }
    }

    /// Acts and deliveries in any order, in changing weather.
    pub(crate) async fn storm(&mut self) {
        let nodes = self.network.nodes();
        self.network.set_weather(Weather { loss: 4, repeat: 6 });
        for step in 0..STEPS {
            if step == STEPS / 3 {
                let alone = self.pick(nodes);
                println!("{} is cut off", alone.name);
                self.network.cut_off([alone.name.clone()]);
            }
            if step == 2 * STEPS / 3 {
                println!("all are together again");
                self.network.cut_off([]);
            }
            self.steps.send_replace(step);
            let (one, two, ()) = tokio::join!(self.act(), self.act(), self.network.deliver_one());
            for done in [one, two] {
                match done {
                    Ok(submitted) => self.acknowledged.push(submitted.event_id),
                    Err(
                        RoomError::Denied(_) | RoomError::Forbidden(_) | RoomError::BadState(_),
                    ) => {}
                    Err(error) => panic!("neither done nor denied: {error}"),
                }
            }
        }
        self.network.set_weather(Weather::default());
    }

    /// Everything gets through; each server says one more thing.
    pub(crate) async fn clear_up(&mut self) {
        self.network.deliver_parcels().await;
        for node in self.network.nodes() {
            let content = json!({ "msgtype": "m.text", "body": "at last" });
            let event = ("m.room.message", None, content);
            let said = self.deeds(node).submit(&user(node, "admin"), event).await;
            self.acknowledged.push(said.unwrap().event_id);
        }
        self.network.deliver_parcels().await;
    }
}

async fn set_power(
    deeds: &Deeds<'_>,
    admin: &UserId,
    target: &UserId,
    level: i64,
) -> Result<Submitted, RoomError> {
    let view = deeds.rooms.find(deeds.room).await?.unwrap().view();
    let levels = view.state_pdu(store::numbers::POWER_LEVELS).unwrap();
    let mut content = serde_json::from_str::<Value>(levels.content()).unwrap();
    content["users"][target.as_str()] = level.into();
    deeds.submit(admin, ("m.room.power_levels", Some(""), content)).await
}
