package containers

import (
	"fmt"
	"reflect"

	"github.com/dunlin-io/dunlin/proclet/arena"
)

// checkKey refuses types of which two equal values may have different bytes, since keys are hashed
// by their bytes: floats (0 and -0), and structs with gaps between their fields. It is called when
// a table is made.
func checkKey(t reflect.Type) error {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Array:
		return checkKey(t.Elem())
	case reflect.Struct:
		end := uintptr(0)
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Name == "_" && f.Type.Size() == 0 {
				continue
			}
			if f.Name == "_" || f.Offset != end {
				return fmt.Errorf("%w: a key of type %v has bytes before or in field %s that do "+
					"not belong to its value", arena.ErrType, t, f.Name)
			}
			if err := checkKey(f.Type); err != nil {
				return fmt.Errorf("%v.%s: %w", t, f.Name, err)
			}
			end = f.Offset + f.Type.Size()
		}
		if end == t.Size() {
			return nil
		}
		return fmt.Errorf("%w: a key of type %v has bytes behind its last field", arena.ErrType, t)
	}
	return fmt.Errorf("%w: %v in a key: equal values must have equal bytes", arena.ErrType, t)
}
