package bpf

import (
	"strings"
	"testing"
)

// Reasons become metric labels, so each has a text of its own.
func TestReasonText(t *testing.T) {
	seen := map[string]Reason{}
	for r := range Reason(Reasons) {
		text := r.String()
		if other, ok := seen[text]; ok {
			t.Errorf("%d and %d are both %q", r, other, text)
		}
		if strings.HasPrefix(text, "reason_") {
			t.Errorf("%d has no text", r)
		}
		seen[text] = r
		taken := strings.HasPrefix(text, "taken_")
		if r.Redirected() != taken {
			t.Errorf("%v: redirected %v", r, r.Redirected())
		}
	}
	if got := Reason(Reasons).String(); got != "reason_18" {
		t.Errorf("one past the last: %q", got)
	}
}
