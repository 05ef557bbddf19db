#!/usr/bin/env python3
"""Postern as the host of rooms of two homeservers that none of us wrote (Synapse, as in interop_test.py): their users join, speak, leave,
come back, knock, are banned and reject invites, and each server's users see what the other's do."""
import time
import urllib.error

from peer_case import POLL_SECONDS, SOON_SECONDS, VERSIONS, PeerCase, main

# What the bar of the rejected invite is: another server's user sees it.
SEEN_SECONDS = 5
# Which versions know what.
KNOCK = tuple(version for version in VERSIONS if int(version) >= 7)
RESTRICTED = tuple(version for version in VERSIONS if int(version) >= 8)
KNOCK_RESTRICTED = tuple(version for version in VERSIONS if int(version) >= 10)


class Memberships(PeerCase):
    SYNAPSES = ("synapse_a", "synapse_b")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        first, second = cls.synapses
        cls.alice, cls.carol = first.user("alice"), first.user("carol")
        cls.bob = second.user("bob")

    def held(self, room_id, user, membership):
        """Once Postern holds it so; the event's id."""
        return self.postern.wait_for_membership(room_id, user.user_id, membership, SOON_SECONDS)["event_id"]

    def join(self, room_id, user):
        user.join(room_id, self.postern.name)
        user.wait_for(room_id, "join", SOON_SECONDS)
        return self.held(room_id, user, "join")

    def expect_refused(self, call, *arguments):
        with self.assertRaises(urllib.error.HTTPError) as refused:
            call(*arguments)
        self.assertEqual(refused.exception.code, 403)

    def test_users_of_two_servers_join_speak_leave_and_come_back(self):
        ann = self.postern.user("ann")

        def play(version):
            room_id = self.room(version, "public")
            self.assertEqual(self.signers(self.join(room_id, self.alice)), {self.alice.server.name, self.postern.name})
            self.assertEqual(self.alice.members(room_id), {ann: "join", self.alice.user_id: "join"})
            self.join(room_id, self.bob)
            self.assertEqual(self.bob.members(room_id), {ann: "join", self.alice.user_id: "join", self.bob.user_id: "join"})
            self.alice.wait_for_membership(room_id, self.bob.user_id, "join", SOON_SECONDS)

            said = self.alice.say(room_id, "Hello, Bob")
            self.assertEqual(self.bob.wait_for_event(room_id, said, SOON_SECONDS)["content"]["body"], "Hello, Bob")
            self.postern.wait_for_event(said, SOON_SECONDS)
            said = self.postern.operator("room", "send", room_id, "m.room.message", '{"msgtype":"m.notice","body":"Hello, both"}')
            for user in (self.alice, self.bob):
                user.wait_for_event(room_id, said["event_id"], SOON_SECONDS)

            self.alice.leave(room_id)
            self.held(room_id, self.alice, "leave")
            self.bob.wait_for_membership(room_id, self.alice.user_id, "leave", SOON_SECONDS)
            said = self.bob.say(room_id, "Come back")
            self.postern.wait_for_event(said, SOON_SECONDS)
            self.join(room_id, self.alice)
            self.bob.wait_for_membership(room_id, self.alice.user_id, "join", SOON_SECONDS)
            self.assertEqual(self.alice.members(room_id)[self.bob.user_id], "join")
            self.alice.wait_for_event(room_id, self.bob.say(room_id, "Welcome"), SOON_SECONDS)
            self.expect_database(room_id, {self.alice.user_id: "join", self.bob.user_id: "join"})
        self.in_each_version(play)

    def test_who_is_banned_cannot_come_back_until_the_ban_is_lifted(self):
        def play(version):
            room_id = self.room(version, "public")
            self.join(room_id, self.alice)
            self.join(room_id, self.bob)
            self.postern.operator("room", "ban", room_id, self.alice.user_id)
            self.alice.wait_for(room_id, "leave", SOON_SECONDS)
            self.bob.wait_for_membership(room_id, self.alice.user_id, "ban", SOON_SECONDS)
            self.expect_refused(self.alice.join, room_id, self.postern.name)
            self.expect_database(room_id, {self.alice.user_id: "ban", self.bob.user_id: "join"})
            self.postern.operator("room", "unban", room_id, self.alice.user_id)
            self.join(room_id, self.alice)
            self.bob.wait_for_membership(room_id, self.alice.user_id, "join", SOON_SECONDS)
            self.expect_database(room_id, {self.alice.user_id: "join", self.bob.user_id: "join"})
        self.in_each_version(play)

    def test_an_invite_that_a_user_of_one_server_rejects_is_seen_by_a_user_of_the_other(self):
        def play(version):
            room_id = self.room(version)
            self.postern.operator("room", "invite", room_id, self.bob.user_id)
            self.bob.wait_for(room_id, "invite", SOON_SECONDS)
            self.join(room_id, self.bob)
            self.postern.operator("room", "invite", room_id, self.alice.user_id)
            self.alice.wait_for(room_id, "invite", SOON_SECONDS)
            self.bob.wait_for_membership(room_id, self.alice.user_id, "invite", SOON_SECONDS)
            begun = time.monotonic()
            self.alice.leave(room_id)
            self.bob.wait_for_membership(room_id, self.alice.user_id, "leave", SOON_SECONDS)
            seconds = time.monotonic() - begun
            print(f"room version {version}: a rejected invite was seen by the other server's user after {seconds:.2f} s", flush=True)
            self.assertLess(seconds, SEEN_SECONDS)
            self.expect_database(room_id, {self.alice.user_id: "leave", self.bob.user_id: "join"})
        self.in_each_version(play)

    def test_an_invite_of_one_server_to_the_other_is_held_here_and_so_is_its_rejection(self):
        def play(version):
            room_id = self.room(version, "public")
            self.join(room_id, self.bob)
            self.postern.operator("room", "power", room_id, self.bob.user_id, "50")
            self.bob.invite(room_id, self.alice.user_id)
            self.held(room_id, self.alice, "invite")
            self.alice.wait_for(room_id, "invite", SOON_SECONDS)
            self.alice.leave(room_id)
            self.held(room_id, self.alice, "leave")
            self.bob.wait_for_membership(room_id, self.alice.user_id, "leave", SOON_SECONDS)
            self.expect_database(room_id, {self.alice.user_id: "leave", self.bob.user_id: "join"})
        self.in_each_version(play)

    def knocks(self, version, join_rule):
        room_id = self.room(version, join_rule)
        self.expect_refused(self.alice.join, room_id, self.postern.name)
        self.alice.knock(room_id, self.postern.name)
        self.held(room_id, self.alice, "knock")
        shown = self.alice.wait_for(room_id, "knock", SOON_SECONDS)
        state = {event["type"]: event for event in shown["knock_state"]["events"]}
        self.assertEqual(state["m.room.name"]["content"]["name"], f"a room of version {version}")
        return room_id

    def test_a_knock_is_answered_and_refused_and_one_of_a_resident_server_withdrawn(self):
        def play(version):
            for join_rule in ("knock", *(["knock_restricted"] if version in KNOCK_RESTRICTED else [])):
                room_id = self.knocks(version, join_rule)
                # Synapse drops what it is told of that, and lets the user knock again.
                self.postern.operator("room", "kick", room_id, self.alice.user_id)
                self.expect_database(room_id, {self.alice.user_id: "leave"})
                self.alice.knock(room_id, self.postern.name)
                self.held(room_id, self.alice, "knock")
                self.postern.operator("room", "invite", room_id, self.alice.user_id)
                self.alice.wait_for(room_id, "invite", SOON_SECONDS)
                self.join(room_id, self.alice)
                # From here on her server is in the room, and sends what its users do.
                self.carol.knock(room_id, self.postern.name)
                self.held(room_id, self.carol, "knock")
                self.alice.wait_for_membership(room_id, self.carol.user_id, "knock", SOON_SECONDS)
                self.carol.leave(room_id)
                self.held(room_id, self.carol, "leave")
                self.alice.wait_for_membership(room_id, self.carol.user_id, "leave", SOON_SECONDS)
                self.expect_database(room_id, {self.alice.user_id: "join", self.carol.user_id: "leave"})
        self.in_each_version(play, KNOCK)

    def test_a_restricted_room_takes_the_members_of_another(self):
        def play(version):
            club = self.room(version, "public")
            room_id = self.room(version)
            self.postern.operator(
                "room", "state", room_id, "m.room.join_rules", "",
                f'{{"join_rule":"restricted","allow":[{{"type":"m.room_membership","room_id":"{club}"}}]}}')
            self.expect_refused(self.alice.join, room_id, self.postern.name)
            self.join(club, self.alice)
            event_id = self.join(room_id, self.alice)
            self.assertEqual(self.signers(event_id), {self.alice.server.name, self.postern.name})
            self.expect_database(room_id, {self.alice.user_id: "join"})
        self.in_each_version(play, RESTRICTED)

    def await_invite(self, room_id, user_id, expected):
        """Once the newest invite of the user there stands so in Postern's list; it."""
        deadline = time.monotonic() + SOON_SECONDS
        while True:
            listed = self.postern.operator("invite", "list", "--all", "--room", room_id, "--user", user_id)
            newest = max(listed, key=lambda invite: invite["received_at_ms"], default=None)
            if newest is not None and newest["state"] == expected:
                return newest
            if time.monotonic() > deadline:
                raise AssertionError(f"the invite of {user_id} to {room_id} is not '{expected}' after {SOON_SECONDS} s: {listed}")
            time.sleep(POLL_SECONDS)

    def test_a_user_of_ours_whom_synapse_invites_rejects_and_its_user_sees_that(self):
        user_id = self.postern.user("eve")

        def play(version):
            room_id = self.alice.create_room(version)
            self.alice.invite(room_id, user_id)
            invite = self.await_invite(room_id, user_id, "invited")
            self.assertEqual((invite["room_name"], invite["sender"]), (f"a room of version {version}", self.alice.user_id))
            begun = time.monotonic()
            self.postern.operator("invite", "reject", room_id, user_id)
            leave = self.alice.wait_for_membership(room_id, user_id, "leave", SOON_SECONDS)
            self.assertEqual(leave["sender"], user_id)
            seconds = time.monotonic() - begun
            print(f"room version {version}: our user's rejection was seen by who had invited after {seconds:.2f} s", flush=True)
            self.assertLess(seconds, SEEN_SECONDS)
            self.await_invite(room_id, user_id, "left")

            # Once more, and taken back before it is rejected.
            self.alice.invite(room_id, user_id)
            self.await_invite(room_id, user_id, "invited")
            self.alice.kick(room_id, user_id)
            self.await_invite(room_id, user_id, "withdrawn")
        self.in_each_version(play)


if __name__ == "__main__":
    main()
