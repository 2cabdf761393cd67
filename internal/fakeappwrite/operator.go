package fakeappwrite

import (
	"maps"
	"math/big"
	"slices"
	"strings"
)

// operators are the methods that Appwrite executes. A text such as
// {"method":"increment","values":[1]} is never stored by a PATCH or PUT, be it
// the name of a payer.
var operators = []string{
	"increment", "decrement", "multiply", "divide", "modulo", "power",
	"stringConcat", "stringReplace",
	"arrayAppend", "arrayPrepend", "arrayInsert", "arrayRemove", "arrayUnique", "arrayIntersect", "arrayDiff", "arrayFilter",
	"toggle",
	"dateAddDays", "dateSubDays", "dateSetNow",
}

type operator struct {
	method string
	values []any
}

// parseOperator reports whether a value is an operator, as an object or as text.
func parseOperator(key string, v any) (operator, bool, error) {
	if s, ok := v.(string); ok {
		v, _ = decodeJSON([]byte(s))
	}
	object, _ := v.(map[string]any)
	method, _ := object["method"].(string)
	if !slices.Contains(operators, method) {
		return operator{}, false, nil
	}
	values, ok := object["values"].([]any)
	if !ok && object["values"] != nil {
		return operator{}, true, badOperator(key, "Invalid operator values. Must be an array")
	}
	if _, ok := object["attribute"].(string); !ok && object["attribute"] != nil {
		return operator{}, true, badOperator(key, "Invalid operator attribute. Must be a string")
	}
	return operator{method, values}, true, nil
}

func badOperator(key, reason string) error {
	return &apiError{400, "general_bad_request", `Invalid operator for attribute "` + key + `": ` + reason}
}

// operate returns data with its operators executed on the old values.
func (c *collection) operate(old, data map[string]any) (map[string]any, error) {
	data = maps.Clone(data)
	for _, key := range sortedKeys(data) {
		op, ok, err := parseOperator(key, data[key])
		if err != nil {
			return nil, err
		}
		if !ok || strings.HasPrefix(key, "$") {
			continue
		}
		at, known := c.attribute(key)
		if !known {
			continue // check says so
		}
		if data[key], ok = op.execute(at, old[key]); !ok {
			return nil, invalidStructure("Cannot apply %s operator to '%s'", op.method, key)
		}
	}
	return data, nil
}

// execute returns the new value, or false if the operator does not fit the
// attribute or is one that the stand-in only recognises.
func (op operator) execute(at attribute, old any) (any, bool) {
	switch {
	case at.Array:
		return nil, false
	case at.Type == "integer":
		return op.integer(old)
	case at.Type == "string":
		return op.text(old)
	case at.Type == "boolean" && op.method == "toggle":
		b, _ := old.(bool)
		return !b, true
	}
	return nil, false
}

// integer calculates with integers. A second value is a limit at which the
// result stops.
func (op operator) integer(old any) (any, bool) {
	var operands [2]int64
	for i, v := range op.values {
		n, ok := v.(int64)
		if !ok || i == len(operands) {
			return nil, false
		}
		operands[i] = n
	}
	if len(op.values) == 0 {
		return nil, false
	}
	n, _ := old.(int64) // null counts as 0
	x, y, limit := big.NewInt(n), big.NewInt(operands[0]), big.NewInt(operands[1])
	limited := len(op.values) == 2
	switch op.method {
	case "increment":
		x.Add(x, y)
	case "decrement":
		x.Sub(x, y)
	case "multiply":
		x.Mul(x, y)
	default:
		return nil, false
	}
	past := x.Cmp(limit)
	if limited && (past > 0 && op.method != "decrement" || past < 0 && op.method == "decrement") {
		x = limit
	}
	return x.Int64(), x.IsInt64()
}

// text calculates with strings. What is longer than the attribute is found
// afterwards, with everything else.
func (op operator) text(old any) (any, bool) {
	var operands []string
	for _, v := range op.values {
		s, ok := v.(string)
		if !ok {
			return nil, false
		}
		operands = append(operands, s)
	}
	s, _ := old.(string)
	switch {
	case op.method == "stringConcat" && len(operands) == 1:
		return s + operands[0], true
	case op.method == "stringReplace" && len(operands) == 2:
		if old == nil || operands[0] == "" {
			return old, true
		}
		return strings.ReplaceAll(s, operands[0], operands[1]), true
	}
	return nil, false
}
