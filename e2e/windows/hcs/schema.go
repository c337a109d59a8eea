package hcs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "github.com/Microsoft/hcsshim/osversion" // keeps its module, whose sources are read, in go.mod
)

// Schema is the published schema of the service's documents, read off the Go
// types that Microsoft generates from it (hcsshim/internal/hcs/schema2), and not
// off ours: both would be wrong alike.
type Schema struct {
	structs map[string]*ast.StructType
	enums   map[string][]string // a named string's constants
	strings map[string]bool     // named types that are strings
	numbers map[string]string   // named types that are other ones: numbers, structs by a second name
}

// LoadSchema reads the schema of the hcsshim version in this module's go.mod.
func LoadSchema() (*Schema, error) { return loadSchema("internal/hcs/schema2") }

// loadSchema reads the types of one of hcsshim's packages.
func loadSchema(pkg string) (*Schema, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/Microsoft/hcsshim").Output()
	if err != nil {
		return nil, fmt.Errorf("find hcsshim's sources: %w", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), filepath.FromSlash(pkg))
	s := &Schema{structs: map[string]*ast.StructType{}, enums: map[string][]string{}, strings: map[string]bool{}, numbers: map[string]string{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(fmt.Errorf("no schema in %s", dir), err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				s.declare(g)
			}
		}
	}
	return s, nil
}

func (s *Schema) declare(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			switch t := spec.Type.(type) {
			case *ast.StructType:
				s.structs[spec.Name.Name] = t
			case *ast.Ident:
				if t.Name == "string" {
					s.strings[spec.Name.Name] = true
				} else {
					s.numbers[spec.Name.Name] = t.Name
				}
			}
		case *ast.ValueSpec:
			name, ok := spec.Type.(*ast.Ident)
			if !ok {
				continue
			}
			for _, v := range spec.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, _ := strconv.Unquote(lit.Value)
					s.enums[name.Name] = append(s.enums[name.Name], text)
				}
			}
		}
	}
}

// Check tells whether a document is of the schema's type of that name: no unknown
// field, no wrong type, no unknown value of an enumeration.
func (s *Schema) Check(typeName string, document []byte) error {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("more follows the document")
	}
	return s.named(typeName, typeName, v)
}

func (s *Schema) value(at string, t ast.Expr, v any) error {
	switch t := t.(type) {
	case *ast.StarExpr:
		return s.value(at, t.X, v)
	case *ast.Ident:
		return s.named(at, t.Name, v)
	case *ast.ArrayType:
		list, ok := v.([]any)
		if !ok {
			return wrong(at, "a list", v)
		}
		for i, e := range list {
			if err := s.value(fmt.Sprintf("%s[%d]", at, i), t.Elt, e); err != nil {
				return err
			}
		}
		return nil
	case *ast.MapType:
		m, ok := v.(map[string]any)
		if !ok {
			return wrong(at, "an object", v)
		}
		for k, e := range m {
			if err := s.value(at+"["+k+"]", t.Value, e); err != nil {
				return err
			}
		}
		return nil
	case *ast.SelectorExpr:
		return s.foreign(at, t.Sel.Name, v)
	case *ast.InterfaceType:
		return nil
	}
	return fmt.Errorf("%s: the schema has a type of kind %v", at, reflect.TypeOf(t))
}

// foreign is a type of another package.
func (s *Schema) foreign(at, name string, v any) error {
	text, isText := v.(string)
	switch name {
	case "Time":
		if _, err := time.Parse(time.RFC3339Nano, text); !isText || err != nil {
			return wrong(at, "a time", v)
		}
	case "RequestType":
		if !isText || !slices.Contains([]string{"Add", "Remove", "PreAdd", "Update"}, text) {
			return wrong(at, "a request type", v)
		}
	}
	return nil
}

func (s *Schema) named(at, name string, v any) error {
	if t, ok := s.structs[name]; ok {
		return s.object(at, t, v)
	}
	if other, ok := s.numbers[name]; ok {
		return s.named(at, other, v)
	}
	switch {
	case s.strings[name]:
		text, ok := v.(string)
		if !ok {
			return wrong(at, "a string", v)
		}
		if values := s.enums[name]; len(values) > 0 && !slices.Contains(values, text) {
			return fmt.Errorf("%s: %q is none of %q", at, text, values)
		}
		return nil
	case name == "string":
		if _, ok := v.(string); !ok {
			return wrong(at, "a string", v)
		}
		return nil
	case name == "bool":
		if _, ok := v.(bool); !ok {
			return wrong(at, "a boolean", v)
		}
		return nil
	case name == "any":
		return nil
	}
	return number(at, name, v)
}

func number(at, kind string, v any) error {
	n, ok := v.(json.Number)
	if !ok {
		return wrong(at, "a number", v)
	}
	bits := 64
	for _, b := range []int{8, 16, 32} {
		if strings.HasSuffix(kind, strconv.Itoa(b)) {
			bits = b
		}
	}
	var err error
	switch {
	case strings.HasPrefix(kind, "uint"):
		_, err = strconv.ParseUint(n.String(), 10, bits)
	case strings.HasPrefix(kind, "int"):
		_, err = strconv.ParseInt(n.String(), 10, bits)
	case strings.HasPrefix(kind, "float"):
	default:
		return fmt.Errorf("%s: the schema has an unknown type %s", at, kind)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	return nil
}

func (s *Schema) object(at string, t *ast.StructType, v any) error {
	m, ok := v.(map[string]any)
	if !ok {
		return wrong(at, "an object", v)
	}
	fields := map[string]ast.Expr{}
	for _, f := range t.Fields.List {
		for _, name := range f.Names {
			key := name.Name
			if f.Tag != nil {
				tag, _ := strconv.Unquote(f.Tag.Value)
				if k, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ","); k != "" {
					key = k
				}
			}
			fields[key] = f.Type
		}
	}
	for k, e := range m {
		field, ok := fields[k]
		if !ok {
			return fmt.Errorf("%s has no field %q", at, k)
		}
		if err := s.value(at+"."+k, field, e); err != nil {
			return err
		}
	}
	return nil
}

func wrong(at, want string, v any) error { return fmt.Errorf("%s: want %s, not %T", at, want, v) }
