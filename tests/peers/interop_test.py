#!/usr/bin/env python3
"""Postern against a homeserver that none of us wrote: a Synapse of its Python package, unmodified, with PostgreSQL, on loopback over
real TLS. Postern invites users of Synapse; they see it through the client API and reject it, are uninvited, or are told late."""
from peer_case import SOON_SECONDS, VERSIONS, PeerCase, main

# The first retry of a delivery comes after some seconds, the second after half a minute.
AFTER_AN_OUTAGE_SECONDS = 90


class Interop(PeerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.synapse = cls.synapses[0]
        cls.bob = cls.synapse.user("bob")

    def invite(self, room_id):
        return self.postern.operator("room", "invite", room_id, self.bob.user_id)["event_id"]

    def in_a_room_of_each_version(self, play):
        self.in_each_version(lambda version: play(version, self.room(version)))

    def test_an_invite_is_seen_and_rejected_there_and_the_leave_is_held_here_with_both_signatures(self):
        both = {self.postern.name, self.synapse.name}

        def play(version, room_id):
            event_id = self.invite(room_id)
            self.assertEqual(self.signers(event_id), both)
            shown = self.bob.wait_for(room_id, "invite", SOON_SECONDS)
            state = {event["type"]: event for event in shown["invite_state"]["events"]}
            self.assertEqual(state["m.room.name"]["content"]["name"], f"a room of version {version}")
            self.assertIn("m.room.create", state)
            self.bob.leave(room_id)
            member = self.postern.wait_for_membership(room_id, self.bob.user_id, "leave", SOON_SECONDS)
            self.assertEqual(self.signers(member["event_id"]), both)
            self.bob.wait_for(room_id, "leave", SOON_SECONDS)
        self.in_a_room_of_each_version(play)

    def test_an_invite_withdrawn_here_disappears_there(self):
        def play(_, room_id):
            self.invite(room_id)
            self.bob.wait_for(room_id, "invite", SOON_SECONDS)
            self.postern.operator("room", "withdraw", room_id, self.bob.user_id)
            self.bob.wait_for(room_id, "leave", SOON_SECONDS)
        self.in_a_room_of_each_version(play)

    def test_a_user_who_has_rejected_is_invited_and_rejects_again(self):
        def play(_, room_id):
            for _ in range(2):
                self.invite(room_id)
                self.bob.wait_for(room_id, "invite", SOON_SECONDS)
                self.bob.leave(room_id)
                self.postern.wait_for_membership(room_id, self.bob.user_id, "leave", SOON_SECONDS)
                self.bob.wait_for(room_id, "leave", SOON_SECONDS)
        self.in_a_room_of_each_version(play)

    def test_a_server_that_is_down_is_not_invited_and_learns_of_a_withdrawal_once_it_is_back(self):
        from postern_server import Refused
        rooms = [(version, self.room(version)) for version in VERSIONS]
        self.synapse.stop()
        for _, room_id in rooms:
            with self.assertRaisesRegex(Refused, "could not be asked"):
                self.invite(room_id)
            with self.assertRaises(Refused):
                self.postern.member(room_id, self.bob.user_id)
        self.synapse.start()
        for _, room_id in rooms:
            self.invite(room_id)
            self.bob.wait_for(room_id, "invite", SOON_SECONDS)
        self.synapse.stop()
        for _, room_id in rooms:
            self.postern.operator("room", "withdraw", room_id, self.bob.user_id)
        self.synapse.start()
        for version, room_id in rooms:
            with self.subTest(room_version=version):
                self.bob.wait_for(room_id, "leave", AFTER_AN_OUTAGE_SECONDS)


if __name__ == "__main__":
    main()
