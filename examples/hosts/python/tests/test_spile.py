"""Tests of the library, against the mock API and APIs of their own."""

import json
import pickle
import subprocess
import sys
import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import spile

from .servers import FOLDER, SILENCE, WASM, Api, MockApi, Query

GIVEN: dict[str, Any] = {"secrets": {"api_key": "mock-token"}, "params": {"user_id": "acme"}}


def ids(batch: spile.Batch) -> list[tuple[str, Any]]:
    return [(rows.table, row["id"]) for rows in batch.tables if not rows.parent for row in rows.dicts()]


class Tests(unittest.TestCase):
    connector: spile.Connector

    @classmethod
    def setUpClass(cls) -> None:
        cls.connector = spile.Connector(WASM)

    def failure(self, config: dict[str, Any], **options: Any) -> spile.SpileError:
        """The error with which a run ends."""
        with self.assertRaises(spile.SpileError) as raised:
            list(self.connector.batches(config, **options))
        return raised.exception


class Reading(Tests):
    def test_all_rows_of_all_tables(self) -> None:
        with MockApi() as api:
            rows = Counter(table for table, _ in self.connector.rows(api.config(), **GIVEN))
            self.assertEqual(rows, api.expected())

    def test_the_last_batch_sums_up(self) -> None:
        with MockApi() as api:
            *batches, last = self.connector.batches(api.config(), max_rows=50, **GIVEN)
        self.assertGreater(len(batches), 2)
        self.assertTrue(all(batch.tables and not batch.summary for batch in batches))
        self.assertEqual(last.tables, [])
        assert last.summary
        self.assertEqual(last.state, last.summary.state)
        self.assertEqual({counts.resource: counts.rows for counts in last.counts}["app_inputs"], 150)

    def test_a_state_goes_on_and_nothing_comes_twice(self) -> None:
        with MockApi() as api:
            whole = [row for batch in self.connector.batches(api.config(), **GIVEN) for row in ids(batch)]
            first = self.connector.batches(api.config(), max_rows=20, **GIVEN)
            batch = next(first)
            first.close()
            rest = self.connector.batches(api.config(), state=batch.state, schema=batch.schema, **GIVEN)
            self.assertEqual(ids(batch) + [row for batch in rest for row in ids(batch)], whole)
            self.assertEqual(len(ids(batch)), 20)

    def test_some_resources(self) -> None:
        with MockApi() as api:
            rows = self.connector.rows(api.config(), resources=["models"], load_id="load 1", **GIVEN)
            loads = {row["_dlt_load_id"] for table, row in rows if table == "models"}
        self.assertEqual(loads, {"load 1"})

    def test_texts_may_hold_all_that_looks_like_the_end_of_a_line(self) -> None:
        text = "a\nb\r\u2028c\u2029d\x85e\x0bf\x1cg"
        with Api({"/notes": lambda _: [{"text": text}, {"text": "next"}]}) as api:
            rows = list(self.connector.rows(api.config("notes")))
        self.assertEqual([row["text"] for _, row in rows], [text, "next"])

    def test_a_range_and_the_run_after_it(self) -> None:
        events: list[Any] = [{"id": id, "at": f"2025-03-0{id}T00:00:00Z"} for id in range(1, 6)]

        def answer(query: Query) -> Any:
            return [event for event in events if event["at"] >= query.get("since", "")]

        incremental = {"cursor_path": "at", "initial_value": "2025-03-02T00:00:00Z"}
        endpoint = {"path": "events", "params": {"since": "{incremental.start_value}"}, "incremental": incremental}
        with Api({"/events": answer}) as api:
            config = api.config({"name": "events", "endpoint": endpoint})
            *_, last = batches = list(self.connector.batches(config))
            self.assertEqual([id for batch in batches for _, id in ids(batch)], [2, 3, 4, 5])
            events.append({"id": 6, "at": "2025-03-06T00:00:00Z"})
            rows = list(self.connector.rows(config, state=last.state))
            self.assertEqual([row["id"] for _, row in rows], [6])
            rows = list(self.connector.rows(config, state=last.state, since="2025-03-03", until="2025-03-05"))
            self.assertEqual([row["id"] for _, row in rows], [3, 4])
            rows = list(self.connector.rows(config, state=last.state, full_refresh=True))
            self.assertEqual([row["id"] for _, row in rows], [2, 3, 4, 5, 6])

    def test_readers_in_threads(self) -> None:
        with MockApi() as api, ThreadPoolExecutor(4) as pool:
            runs = [
                pool.submit(lambda: Counter(t for t, _ in self.connector.rows(api.config(), **GIVEN))) for _ in range(8)
            ]
            for run in runs:
                self.assertEqual(run.result(), api.expected())

    def test_a_wait_is_slept_through_and_told_to_the_log(self) -> None:
        answers: list[Any] = [(429, {"retry-after": "1"}, {}), [{"id": 1}]]
        with Api({"/notes": lambda _: answers.pop(0)}) as api, self.assertLogs("spile", "INFO") as log:
            rows = list(self.connector.rows(api.config("notes")))
        self.assertEqual(len(rows), 1)
        self.assertIn("notes waits for", log.output[0])
        self.assertLess(len(log.output), 3)

    def test_a_misspelt_option(self) -> None:
        with self.assertRaisesRegex(TypeError, "secret"):
            next(self.connector.rows({}, secret={}))  # type: ignore[call-arg]


class Leaving(Tests):
    def test_a_request_in_flight_is_given_up(self) -> None:
        with Api({"/notes": lambda _: [{"id": 1}], "/slow": lambda _: SILENCE}) as api:
            rows = self.connector.rows(api.config("notes", "slow"))
            for _ in rows:
                break
            self.assertFalse(api.hung_up.is_set())
            rows.close()
            self.assertTrue(api.hung_up.wait(10))

    def test_the_process_ends_by_itself(self) -> None:
        program = f"""if True:
            import json, spile, sys
            config = json.loads(sys.argv[1])
            rows = spile.Connector({str(WASM)!r}).rows(config, **{GIVEN!r})
            print(next(rows)[0])
        """
        with MockApi("--latency-ms", "50") as api:
            command = [sys.executable, "-c", program, json.dumps(api.config())]
            run = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60)
        self.assertEqual((run.stdout, run.stderr, run.returncode), ("applications\n", "", 0))


class Failing(Tests):
    def test_credentials_that_are_refused(self) -> None:
        with MockApi() as api:
            for secret in ("not the token", "wr{o}ng"):
                error = self.failure(api.config(), params={"user_id": "acme"}, secrets={"api_key": secret})
                self.assertEqual((error.kind, error.status, error.resource), ("auth", 401, "applications"))
                with self.assertRaises(spile.SpileError) as raised:
                    self.connector.check(api.config(), params={"user_id": "acme"}, secrets={"api_key": secret})
                self.assertEqual(raised.exception.kind, "auth")
            self.connector.check(api.config(), **GIVEN)

    def test_a_secret_without_a_value(self) -> None:
        with MockApi() as api:
            error = self.failure(api.config(), params={"user_id": "acme"})
        self.assertEqual((error.kind, error.pointer), ("config", "/client/auth/token"))
        self.assertIn("`api_key` has no value", str(error))
        self.assertIn('secrets={"api_key": ...}', str(error))

    def test_a_limited_rate_and_a_broken_server(self) -> None:
        for fault, kind, status in (("--too-many-every", "rate-limited", 429), ("--error-every", "transient", 500)):
            with self.subTest(kind), MockApi(fault, "1") as api:
                config = api.config()
                config["client"]["error_handler"] = {"max_retries": 0}
                error = self.failure(config, **GIVEN)
                self.assertEqual((error.kind, error.status, error.attempts), (kind, status, 1))

    def test_the_rows_before_a_failure_stand(self) -> None:
        with MockApi("--error-every", "6") as api:
            config = api.config()
            config["client"]["error_handler"] = {"max_retries": 0}
            got: list[tuple[str, Any]] = []
            state, schema, failures = None, None, 0
            while True:
                try:
                    for batch in self.connector.batches(
                        config, state=state, schema=schema, window=1, max_rows=5, **GIVEN
                    ):
                        got += ids(batch)
                        state, schema = batch.state, batch.schema or schema
                    break
                except spile.SpileError as error:
                    self.assertEqual(error.kind, "transient")
                    failures += 1
            self.assertGreater(failures, 0)
            self.assertEqual(len(got), len(set(got)))
            self.assertEqual(Counter(table for table, _ in got)["app_inputs"], api.expected()["app_inputs"])

    def test_all_defects_of_a_configuration(self) -> None:
        config = {"client": {"base_url": "https://api.example.com", "auht": 1}, "resources": [{"nam": "a"}]}
        with self.assertRaises(spile.SpileError) as raised:
            self.connector.describe(config)
        error = raised.exception
        self.assertEqual([each.pointer for each in error.errors], ["/client/auht", "/resources/0/nam"])
        self.assertEqual(error.kind, "config")
        self.assertIn("did you mean `auth`?", str(error))
        self.assertIn("did you mean `name`?", str(error))

    def test_one_defect_of_a_configuration(self) -> None:
        with self.assertRaises(spile.SpileError) as raised:
            self.connector.describe({"client": {"base_url": "https://api.example.com"}, "resources": "notes"})
        self.assertEqual([str(error) for error in raised.exception.errors], [str(raised.exception)])
        self.assertEqual(raised.exception.pointer, "/resources")

    def test_an_error_survives_pickling(self) -> None:
        error = spile.SpileError("auth", "no", advice="ask", errors=(spile.SpileError("config", "x"),))
        self.assertEqual(str(pickle.loads(pickle.dumps(error))), str(error))


class Describing(Tests):
    def test_secrets_without_values_are_slots(self) -> None:
        with MockApi() as api:
            description = self.connector.describe(api.config(), params={"user_id": "acme"})
            self.assertEqual(description.origins, [api.base_url])
            self.assertEqual(description.slots, [spile.Slot("api_key", [api.base_url])])
            given = self.connector.describe(api.config(), secrets={"api_key": "mock-token"})
        self.assertEqual(given.slots, [])
        self.assertEqual(given.resources[0].unbound, ["user_id"])
        self.assertEqual(description.resources[1].parent, "applications")
        self.assertEqual(description.resources[1].primary_key, ["id"])
        assert isinstance(description.resources[1].write_disposition, dict)
        self.assertEqual(description.resources[1].write_disposition["merge"]["strategy"], {"delete-insert": []})

    def test_the_schema_of_configurations(self) -> None:
        self.assertIn("json-schema.org/draft/2020-12", self.connector.spec())


SECRETS = {"token": "t{o}k en", "key": "k{e}y/+?&ü", "header": "h{e}{{r"}


class Secrets(Tests):
    def config(self, api: Api) -> dict[str, Any]:
        endpoint = {"path": "notes", "params": {"q": {"secret": "key"}}, "headers": {"x-header": {"secret": "header"}}}
        auth = {"type": "bearer", "token": {"secret": "token"}}
        return api.config({"name": "notes", "endpoint": endpoint}, auth=auth, error_handler={"max_retries": 0})

    def test_they_reach_their_places_as_they_are(self) -> None:
        with Api({"/notes": lambda _: []}) as api:
            list(self.connector.batches(self.config(api), secrets=SECRETS))
            self.assertEqual(api.headers[0]["authorization"], "Bearer t{o}k en")
            self.assertEqual(api.headers[0]["x-header"], "h{e}{{r")
            self.assertEqual(api.queries[0], {"q": "k{e}y/+?&ü"})

    def test_no_error_shows_them(self) -> None:
        with Api({"/notes": lambda _: (500, {}, {})}) as api:
            error = self.failure(self.config(api), secrets=SECRETS)
        self.assertEqual(error.url, f"{api.base_url}/notes?q=***")
        for text in (str(error), repr(error)):
            self.assertNotIn("k{e}y", text)
            self.assertNotIn("k%7Be%7Dy", text)
