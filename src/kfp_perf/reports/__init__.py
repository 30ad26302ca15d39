"""Reports: each is drawn from a `TestResult` alone, so any of them can be drawn again later."""
