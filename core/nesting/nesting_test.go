package nesting

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for text, ok := range map[string]bool{
		"":                      true,
		"[{[":                   true,
		"[{[{":                  false,
		strings.Repeat("[]", 9): true,
		"]]]" + "[[[":           true, // what closes nothing earns nothing
		"]]]" + "[[[[":          false,
	} {
		if err := Check([]byte(text), 3); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
