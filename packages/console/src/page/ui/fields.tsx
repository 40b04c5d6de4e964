import type { ComponentChildren } from "preact";

type TextFieldProps = {
  readonly label: ComponentChildren;
  readonly value: string;
  onInput(value: string): void;
  readonly type?: "text" | "password" | "url";
  readonly placeholder?: string;
  readonly isRequired?: boolean;
  readonly isDisabled?: boolean;
  readonly name?: string;
};

export function TextField(props: TextFieldProps) {
  const { label, value, onInput, type = "text", placeholder, isRequired = false, isDisabled = false, name } = props;
  return (
    <label class="field">
      <span>{label}</span>
      <input
        // Preact knows other roles for each type, and this field has none.
        type={type as "text"}
        name={name}
        value={value}
        placeholder={placeholder}
        required={isRequired}
        disabled={isDisabled}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </label>
  );
}

type SelectProps<Value extends string> = {
  readonly label: string;
  readonly value: Value;
  readonly options: readonly (readonly [value: Value, text: string])[];
  onChange(value: Value): void;
};

export function Select<Value extends string>({ label, value, options, onChange }: SelectProps<Value>) {
  return (
    <label class="field">
      <span>{label}</span>
      <select
        value={value}
        // The values are those of the options.
        onChange={(event) => onChange(event.currentTarget.value as Value)}
      >
        {options.map(([each, text]) => (
          <option key={each} value={each}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

type CheckProps = {
  readonly label: ComponentChildren;
  readonly isChecked: boolean;
  onChange(isChecked: boolean): void;
  readonly isDisabled?: boolean;
};

export function Check({ label, isChecked, onChange, isDisabled = false }: CheckProps) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={isChecked}
        disabled={isDisabled}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span>{label}</span>
    </label>
  );
}

type FormProps = {
  readonly label: string;
  onSubmit(): void;
  readonly children: ComponentChildren;
  readonly class?: string;
};

/** A form that the page handles itself. */
export function Form({ label, onSubmit, children, class: className = "form" }: FormProps) {
  return (
    <form
      class={className}
      aria-label={label}
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
    >
      {children}
    </form>
  );
}
