package dataplane

import (
	"reflect"
	"testing"
)

// What several threads write lies on lines of its own: a member's claim, and the word that says who
// is here. Members and seats do not share lines with their neighbours.
func TestTeamLines(t *testing.T) {
	line := func(in reflect.Type, name string) uintptr {
		f, ok := in.FieldByName(name)
		if !ok {
			t.Fatalf("%v has no %s", in, name)
		}
		return f.Offset / lineBytes
	}
	m, team, seat := reflect.TypeFor[member](), reflect.TypeFor[Team](), reflect.TypeFor[Seat]()
	if line(m, "claim") == line(m, "told") || line(m, "told") == line(m, "worker") ||
		m.Size()%lineBytes != 0 {
		t.Errorf("claim, told and worker on lines %d, %d, %d of %d bytes", line(m, "claim"),
			line(m, "told"), line(m, "worker"), m.Size())
	}
	if line(team, "seats") == line(team, "here") || team.Size()%lineBytes != 0 {
		t.Errorf("seats and here on lines %d and %d of %d bytes", line(team, "seats"),
			line(team, "here"), team.Size())
	}
	if last := line(seat, "counts"); seat.Size()-last*lineBytes < lineBytes {
		t.Errorf("a seat's counts on line %d of %d bytes", last, seat.Size())
	}
}
