package planted

import "testing"

func TestNames(t *testing.T) {
	for b := range Bug(Bugs) {
		got, ok := Named(b.String())
		if !ok || got != b || b.Text() == "" {
			t.Errorf("bug %d is named %q and means %q; that name is of bug %d", b, b, b.Text(), got)
		}
	}
	if _, ok := Named("no-such-bug"); ok {
		t.Error("a bug of another name")
	}
}

func TestChoose(t *testing.T) {
	for b := None + 1; b < Bugs; b++ {
		if On(b) {
			t.Errorf("%v before it was chosen", b)
		}
	}
	if !Enabled {
		defer func() {
			if recover() == nil || On(CreditLeaked) {
				t.Error("chosen in a build without mistakes")
			}
		}()
		Choose(CreditLeaked)
		return
	}
	Choose(CreditLeaked)
	defer Choose(None)
	if !On(CreditLeaked) || On(CallTwice) {
		t.Error("not the one that was chosen")
	}
}
