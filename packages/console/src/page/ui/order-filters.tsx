import { useConsole } from "../store/console.ts";
import { Check, Select } from "./fields.tsx";

type OrderFiltersProps = {
  readonly order: string;
  readonly orders: readonly (readonly [value: string, label: string])[];
  readonly isLive: boolean;
};

/** The filters that every list has: its order, and whether it is kept up to date. */
export function OrderFilters({ order, orders, isLive }: OrderFiltersProps) {
  const { router } = useConsole();
  return (
    <>
      <Select label="Order" value={order} options={orders} onChange={(value) => router.change({ order: value })} />
      <Check
        label="Keep up to date"
        isChecked={isLive}
        onChange={(isChecked) => router.change({ live: isChecked ? "" : "off" })}
      />
    </>
  );
}
