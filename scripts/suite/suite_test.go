package main

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestPackagesWithKernelTestsComeApart(t *testing.T) {
	unit, kernel, err := packages(fstest.MapFS{
		"core/core.go":                {},
		"core/pin/pin.go":             {},
		"core/pin/pin_kernel_test.go": {},
		"scripts/lint/x_test.go":      {},
		"docs/readme.md":              {},
		"core/testdata/x.go":          {},
		".hidden/x.go":                {},
		"tools/go.mod":                {},
		"tools/x.go":                  {},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"./core", "./scripts/lint"}; !slices.Equal(unit, want) {
		t.Errorf("unit: got %q, want %q", unit, want)
	}
	if want := []string{"./core/pin"}; !slices.Equal(kernel, want) {
		t.Errorf("kernel: got %q, want %q", kernel, want)
	}
}

// The events are what go test 1.26 prints for a package that passes, one with a failure, one that
// dies, one without tests and one that does not compile.
func TestReport(t *testing.T) {
	tests := []struct {
		name, events, want string
		ok                 bool
	}{
		{"pass", passing, "ok  \tx/a\t0.01s\n\n1 tests passed, 0 failed, 0 skipped\n", true},
		{"skip", skipping, "ok  \tx/a\t0.01s\n\nskipped 2: needs root: run with sudo\n" +
			"\tx/a TestKernel\n\tx/a TestOther/sub\n\n1 tests passed, 0 failed, 2 skipped\n", true},
		{"fail", failing, "    a_test.go:9: got 1\n--- FAIL: TestBad (0.00s)\nFAIL\nFAIL\tx/a\t0.01s\n" +
			"\nfailed 1:\n\tx/a TestBad\n\n1 tests passed, 1 failed, 0 skipped\n", false},
		{"die", dying, "panic: out of cheese\nFAIL\tx/a\t0.01s\n" +
			"\n0 tests passed, 0 failed, 0 skipped\n" +
			"something failed outside of the tests: see above\n", false},
		{
			"empty", `{"Action":"output","Package":"x/a","Output":"?   \tx/a\t[no test files]\n"}
{"Action":"skip","Package":"x/a"}`,
			"?   \tx/a\t[no test files]\n\n0 tests passed, 0 failed, 0 skipped\n", true,
		},
		{
			"build", `{"ImportPath":"x/a","Action":"build-output","Output":"a.go:1: undefined: x\n"}
{"ImportPath":"x/a","Action":"build-fail"}
{"Action":"output","Package":"x/a","Output":"FAIL\tx/a [build failed]\n"}
{"Action":"fail","Package":"x/a","FailedBuild":"x/a"}`,
			"a.go:1: undefined: x\nFAIL\tx/a [build failed]\n\n0 tests passed, 0 failed, 0 skipped\n" +
				"something failed outside of the tests: see above\n", false,
		},
		{
			"words", "go: no such package\n",
			"go: no such package\n\n0 tests passed, 0 failed, 0 skipped\n", true,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			r := newReport(&out)
			for line := range strings.Lines(test.events) {
				r.line([]byte(line))
			}
			if ok := r.finish(); ok != test.ok {
				t.Errorf("got ok %v, want %v", ok, test.ok)
			}
			if out.String() != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", out.String(), test.want)
			}
		})
	}
}

const passing = `{"Action":"start","Package":"x/a"}
{"Action":"run","Package":"x/a","Test":"TestGood"}
{"Action":"output","Package":"x/a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"x/a","Test":"TestGood","Output":"    a_test.go:3: a log line\n"}
{"Action":"output","Package":"x/a","Test":"TestGood","Output":"--- PASS: TestGood (0.00s)\n"}
{"Action":"pass","Package":"x/a","Test":"TestGood"}
{"Action":"output","Package":"x/a","Output":"PASS\n"}
{"Action":"output","Package":"x/a","Output":"ok  \tx/a\t0.01s\n"}
{"Action":"pass","Package":"x/a"}
`

const skipping = `{"Action":"output","Package":"x/a","Test":"TestKernel","Output":"=== RUN   TestKernel\n"}
{"Action":"output","Package":"x/a","Test":"TestKernel","Output":"    lab.go:30: needs root: run with sudo\n"}
{"Action":"output","Package":"x/a","Test":"TestKernel","Output":"--- SKIP: TestKernel (0.00s)\n"}
{"Action":"skip","Package":"x/a","Test":"TestKernel"}
{"Action":"output","Package":"x/a","Test":"TestOther/sub","Output":"    b.go:1: needs root: run with sudo\n"}
{"Action":"output","Package":"x/a","Test":"TestOther/sub","Output":"    --- SKIP: TestOther/sub (0.00s)\n"}
{"Action":"skip","Package":"x/a","Test":"TestOther/sub"}
{"Action":"pass","Package":"x/a","Test":"TestOther"}
{"Action":"output","Package":"x/a","Output":"PASS\n"}
{"Action":"output","Package":"x/a","Output":"ok  \tx/a\t0.01s\n"}
{"Action":"pass","Package":"x/a"}
`

const failing = `{"Action":"output","Package":"x/a","Test":"TestGood","Output":"    a_test.go:3: a log line\n"}
{"Action":"pass","Package":"x/a","Test":"TestGood"}
{"Action":"output","Package":"x/a","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"x/a","Test":"TestBad","Output":"    a_test.go:9: got 1\n"}
{"Action":"output","Package":"x/a","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"x/a","Test":"TestBad"}
{"Action":"output","Package":"x/a","Output":"FAIL\n"}
{"Action":"output","Package":"x/a","Output":"FAIL\tx/a\t0.01s\n"}
{"Action":"fail","Package":"x/a"}
`

const dying = `{"Action":"run","Package":"x/a","Test":"TestBad"}
{"Action":"output","Package":"x/a","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"x/a","Test":"TestBad","Output":"panic: out of cheese\n"}
{"Action":"output","Package":"x/a","Output":"FAIL\tx/a\t0.01s\n"}
{"Action":"fail","Package":"x/a"}
`
