"""A peer was away while much was published: when it is back, what is new does not wait behind that."""

from pathlib import Path

from tests.battery.nodes import bundle, indicator, many, running, until

WAITING, AT_ONCE = 6_000, 1_000


def test_what_is_new_reaches_a_peer_before_all_that_it_has_missed(tmp_path: Path) -> None:
    with running(tmp_path, "tirana", "podgorica") as (tirana, podgorica):
        podgorica.kill()
        for number in range(WAITING // AT_ONCE):
            tirana.publish(many(AT_ONCE, f"missed{number}"), "everyone")
        until(lambda: tirana.peer(podgorica)["queued"] > 0, 30)
        told = tirana.peer(podgorica)
        assert told["queued"] < AT_ONCE
        assert told["queued"] + told["to_decide"] >= WAITING
        podgorica.start()
        until(lambda: podgorica.count("statements") > AT_ONCE, 60)
        tirana.publish(bundle([indicator("new.example")]), "everyone")
        until(lambda: podgorica.count("statements") > WAITING, 60, lambda: tirana.get("/peers"))
        ((seq,),) = podgorica.rows("SELECT seq FROM contents WHERE name = 'new.example'")
        ((after,),) = podgorica.rows("SELECT count(*) FROM contents WHERE seq > ?", seq)
        assert after > 0, "it waited behind all that was missed"
        until(lambda: tirana.peer(podgorica)["queued"] == 0, 20)
        assert tirana.peer(podgorica)["to_decide"] == 0
        assert podgorica.count("statements") == WAITING + 1
