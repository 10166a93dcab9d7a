# SPDX-License-Identifier: Apache-2.0
"""The checker of metrics pages refuses what scrapers refuse."""
import unittest

import exposition

GOOD = ("# HELP a_total Counts \\\\ and \\n.\n# TYPE a_total counter\na_total{x=\"1\\\"\\\\\\n\"} 1\na_total{x=\"2\"} 2.5e+17\n"
        "# HELP b_bytes Bytes.\n# TYPE b_bytes gauge\nb_bytes -1\n"
        "# HELP h_seconds Seconds.\n# TYPE h_seconds histogram\nh_seconds_bucket{le=\"0.5\"} 1\n"
        "h_seconds_bucket{le=\"+Inf\"} 3\nh_seconds_sum 7\nh_seconds_count 3\n")
OPEN = ("# HELP a Says \\\"this\\\".\n# TYPE a counter\na_total 1\n# HELP b_bytes Bytes.\n# TYPE b_bytes gauge\n"
        "# UNIT b_bytes bytes\nb_bytes 1\n# HELP h_seconds Seconds.\n# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n"
        "h_seconds_bucket{le=\"1.0\"} 1\nh_seconds_bucket{le=\"+Inf\"} 3\nh_seconds_sum 7\nh_seconds_count 3\n# EOF\n")


class Checker(unittest.TestCase):
    def test_good_pages_are_taken(self):
        found = exposition.check(exposition.TEXT, GOOD)
        self.assertEqual(found["a_total"].samples[0][1], {"x": '1"\\\n'})
        self.assertEqual(exposition.value(found, "a_total", x="2"), 2.5e17)
        self.assertEqual(exposition.check(exposition.OPENMETRICS, OPEN)["b_bytes"].unit, "bytes")

    def assert_bad(self, kind, page):
        with self.assertRaises(exposition.Bad, msg=page):
            exposition.check(kind, page)

    def test_text_that_is_refused(self):
        for old, new in [("a_total{x=\"2\"}", "a_total{x=\"1\\\"\\\\\\n\"}"), ("} 1\n", "} one\n"), ("x=\"2\"", "x=\"\n\""),
                         ("x=\"2\"", "x=2"), ("x=\"2\"", "2x=\"2\""), ("x=\"2\"", "x=\"2\",x=\"3\""), ("x=\"2\"", "x=\"\\t\""),
                         ("x=\"2\"", "x=\"2\","), ("b_bytes -1", "c 1"), ("2.5e+17", "-2"), ("2.5e+17", "1 1 1"),
                         ("# TYPE b_bytes gauge\n", ""), ("gauge", "gage"), ("# HELP b_bytes Bytes.\n", ""),
                         ("b_bytes -1\n", "b_bytes -1\n\n"), ("le=\"0.5\"} 1", "le=\"0.5\"} 4"), ("_count 3", "_count 4"),
                         ("h_seconds_bucket{le=\"+Inf\"} 3\n", ""), ("h_seconds_sum 7\n", ""), ("count 3\n", "count 3"),
                         ("# HELP b_bytes", "# UNIT b_bytes bytes\n# HELP b_bytes"), ("b_bytes", "b_total"),
                         ("le=\"0.5\"", "le=\"+Inf\"")]:
            self.assertIn(old, GOOD)
            self.assert_bad(exposition.TEXT, GOOD.replace(old, new))
        self.assert_bad("text/plain", GOOD)
        self.assert_bad(exposition.TEXT, GOOD + GOOD)

    def test_openmetrics_that_is_refused(self):
        for old, new in [("# EOF\n", ""), ("# EOF\n", "# EOF"), ("# TYPE a counter", "# TYPE a_total counter"),
                         ("a_total 1", "a 1"), ("# UNIT b_bytes bytes\n", ""), ("UNIT b_bytes bytes", "UNIT b_bytes seconds"),
                         ("le=\"1.0\"", "le=\"1\""), ("b_bytes 1\n", "b_bytes 1\n# TYPE b_bytes gauge\n")]:
            self.assertIn(old, OPEN)
            self.assert_bad(exposition.OPENMETRICS, OPEN.replace(old, new))


if __name__ == "__main__":
    unittest.main(verbosity=2)
