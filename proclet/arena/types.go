package arena

import (
	"fmt"
	"reflect"
)

// MaxTypeBytes is the largest type: what is larger is a Span of something. (guess)
const MaxTypeBytes = 16 << 20

// TypeError says why a type may not lie in an arena: what it is made of would mean nothing in
// another process, or Go's collector would have to know of it.
type TypeError struct {
	Type  string // the type that was registered
	Field string // where in it, as Go would write it behind a value: ".Next", ".Keys[].Name"
	Kind  string // what is there
}

func (e *TypeError) Error() string {
	return fmt.Sprintf("arena: bad type: %s%s is a %s: an arena holds numbers and Refs, "+
		"no pointers",
		e.Type, e.Field, e.Kind)
}

// Unwrap makes it an ErrType.
func (e *TypeError) Unwrap() error { return ErrType }

// referrer is what refers to memory in an arena: the type it refers to must be fit as well.
type referrer interface{ refersTo() reflect.Type }

// checkType walks through a type and everything it refers to. It is called once for each type.
func checkType(t reflect.Type) error {
	if t.Size() == 0 {
		return &TypeError{Type: t.String(), Kind: "type without bytes"}
	}
	if t.Size() > MaxTypeBytes {
		return &TypeError{
			Type: t.String(),
			Kind: fmt.Sprintf("type of %d bytes, more than %d", t.Size(), MaxTypeBytes),
		}
	}
	v := typeVisitor{root: t, seen: make(map[reflect.Type]struct{})}
	return v.visit(t, "")
}

type typeVisitor struct {
	root reflect.Type
	seen map[reflect.Type]struct{} // types may refer to themselves
}

func (v *typeVisitor) visit(t reflect.Type, field string) error {
	if _, ok := v.seen[t]; ok {
		return nil
	}
	v.seen[t] = struct{}{}
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return nil
	case reflect.Array:
		if t.Len() == 0 {
			return nil
		}
		return v.visit(t.Elem(), field+"[]")
	case reflect.Struct:
		return v.visitStruct(t, field)
	}
	// Pointers, slices, strings, maps, channels, functions, interfaces; and uintptr, which is an
	// address as well.
	return &TypeError{Type: v.root.String(), Field: field, Kind: t.Kind().String() + " (" +
		t.String() + ")"}
}

func (v *typeVisitor) visitStruct(t reflect.Type, field string) error {
	if r, ok := reflect.Zero(t).Interface().(referrer); ok {
		return v.visit(r.refersTo(), field+".*")
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if err := v.visit(f.Type, field+"."+f.Name); err != nil {
			return err
		}
	}
	return nil
}

// Type is the proof that values of T may lie in an arena, and how they are allocated. Only Register
// and TypeIn make one; the zero Type allocates nothing.
type Type[T any] struct {
	units uint64
}

// Register checks T, once: at the start of the program, or when a proclet's type is declared. It
// refuses types that hold pointers, in themselves or behind a Ref, and names the field.
func Register[T any]() (Type[T], error) {
	t := reflect.TypeFor[T]()
	if err := checkType(t); err != nil {
		return Type[T]{}, err
	}
	return Type[T]{units: (uint64(t.Size()) + unitBytes - 1) / unitBytes}, nil
}

// MustRegister is Register for variables of packages: it panics.
func MustRegister[T any]() Type[T] {
	t, err := Register[T]()
	if err != nil {
		panic(err)
	}
	return t
}

// TypeIn is Register for generic code that meets a type with an arena in its hand: the answer is
// remembered there. It costs a lookup, so it is for where memory grows and not for each element.
func TypeIn[T any](h *Heap) (Type[T], error) {
	t := reflect.TypeFor[T]()
	a := h.arena
	if _, ok := a.proven[t]; !ok {
		if err := checkType(t); err != nil {
			return Type[T]{}, err
		}
		if a.proven == nil {
			a.proven = make(map[reflect.Type]struct{})
		}
		a.proven[t] = struct{}{}
	}
	return Type[T]{units: (uint64(t.Size()) + unitBytes - 1) / unitBytes}, nil
}
